import { Plus, Signpost } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import { PartialBanner } from '@/components/Banner'
import { ConfigTable } from '@/components/ConfigTable'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Button, FormButtons, FormProblem, TextArea, TextField, useForm } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { PlanConfirm } from '@/components/PlanConfirm'
import { StatusBadge } from '@/components/Status'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { useUrlState } from '@/lib/url'

export default function NameServers() {
  const t = useT()
  const q = useApi('/clusters/{cluster}/nameservers', { every: 10_000 })
  const [chosen, setChosen] = useUrlState('addr')
  return (
    <Page title={t('nameservers.title')}>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          plain
          id="nameservers"
          label={t('nameservers.title')}
          rows={q.data?.items}
          rowKey={(r) => r.addr}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="addr"
          urlKey="n."
          columns={[
            { id: 'addr', label: t('common.address'), value: (r) => r.addr, format: 'name' },
            { id: 'state', label: t('common.state'), value: (r) => (r.reachable ? 1 : 0), cell: (r) => <StatusBadge tone={r.reachable ? 'ok' : 'bad'} title={r.error?.detail}>{t(r.reachable ? 'brokers.reachable' : 'brokers.unreachable')}</StatusBadge> },
            { id: 'topics', label: t('nameservers.routes'), value: (r) => r.topics, format: 'int' },
            { id: 'brokers', label: t('nameservers.brokers'), value: (r) => r.brokers, format: 'int' },
            { id: 'show', label: '', value: () => '', className: 'num', cell: (r) => <Button small aria-pressed={chosen === r.addr} onClick={() => setChosen(chosen === r.addr ? '' : r.addr)}>{t('nameservers.config')}</Button> },
          ]}
          empty={<EmptyState icon={Signpost} title={t('nameservers.empty')}>{t('nameservers.emptyHint')}</EmptyState>}
        />
      </Panel>
      {chosen && <Config addr={chosen} />}
      <KV />
    </Page>
  )
}

function Config({ addr }: { addr: string }) {
  const t = useT()
  const cluster = useCluster()
  return (
    <section className="flex flex-col gap-2" aria-label={`${t('nameservers.config')} ${addr}`}>
      <h2 className="font-semibold">
        {t('nameservers.config')} <span className="name font-normal text-ink-3">{addr}</span>
      </h2>
      <ConfigTable id={`config-${addr}`} path="/clusters/{cluster}/nameservers/{addr}/config" params={{ cluster, addr }} />
    </section>
  )
}

const ORDER = 'ORDER_TOPIC_CONFIG'

/** Key-value pairs that name servers keep for clients. They cannot list their namespaces, so the name is typed. */
function KV() {
  const t = useT()
  const cluster = useCluster()
  const admin = useMay('admin')
  const [namespace, setNamespace] = useUrlState('ns', ORDER)
  const [typed, setTyped] = useState(namespace)
  const [editing, setEditing] = useState<{ key: string; value: string } | null>(null)
  const [deleting, setDeleting] = useState<string | null>(null)
  const q = useApi('/clusters/{cluster}/kv/{namespace}', { params: { namespace } })
  return (
    <Panel
      flush
      title={t('nameservers.kv')}
      actions={
        admin && (
          <Button small onClick={() => setEditing({ key: '', value: '' })}>
            <Plus aria-hidden className="size-3.5" />
            {t('nameservers.kvAdd')}
          </Button>
        )
      }
    >
      <form
        className="flex items-end gap-2 border-b px-3.5 py-2.5"
        onSubmit={(e) => {
          e.preventDefault()
          setNamespace(typed.trim() || ORDER)
        }}
      >
        <TextField mono className="w-80 max-w-full" label={t('nameservers.namespace')} value={typed} onChange={setTyped} spellCheck={false} />
        <Button type="submit">{t('nameservers.show')}</Button>
      </form>
      <DataTable
        plain
        id="kv"
        label={t('nameservers.kv')}
        rows={q.data?.items}
        rowKey={(r) => r.key}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="key"
        urlKey="k."
        columns={[
          { id: 'key', label: t('common.key'), value: (r) => r.key, format: 'name' },
          { id: 'value', label: t('common.value'), value: (r) => r.value, format: 'name' },
          ...(admin
            ? [
                {
                  id: 'edit', label: '', value: () => '', className: 'num',
                  cell: (r: { key: string; value: string }) => (
                    <span className="inline-flex gap-1.5">
                      <Button small onClick={() => setEditing(r)}>{t('common.edit')}</Button>
                      <Button small kind="danger-line" onClick={() => setDeleting(r.key)}>{t('common.delete')}</Button>
                    </span>
                  ),
                },
              ]
            : []),
        ]}
        empty={<EmptyState title={t('nameservers.kvEmpty')}>{t('nameservers.kvEmptyHint')}</EmptyState>}
      />
      {editing && <KVDialog namespace={namespace} pair={editing} onClose={() => setEditing(null)} />}
      {deleting && (
        <PlanConfirm
          title={t('nameservers.kvDelete')}
          type={deleting}
          action={t('nameservers.kvDelete')}
          run={(dryRun) => call('DELETE', '/clusters/{cluster}/kv/{namespace}/{key}', { params: { cluster, namespace, key: deleting }, query: { dryRun: dryRun || undefined } })}
          onDone={() => {
            toast('ok', t('nameservers.kvDeleted', { key: deleting }))
            void q.refetch()
          }}
          onClose={() => setDeleting(null)}
        />
      )}
    </Panel>
  )
}

function KVDialog({ namespace, pair, onClose }: { namespace: string; pair: { key: string; value: string }; onClose: () => void }) {
  const t = useT()
  const cluster = useCluster()
  const save = useAction(
    (v: typeof pair) => call('PUT', '/clusters/{cluster}/kv/{namespace}/{key}', { params: { cluster, namespace, key: v.key }, body: { value: v.value } }),
    { invalidate: ['/clusters/{cluster}/kv/{namespace}'], done: (_, v) => t('nameservers.kvSaved', { key: v.key }), onDone: onClose, quiet: true },
  )
  const form = useForm(pair, (v) => save.mutateAsync(v), (v) => ({ key: v.key ? undefined : t('common.required'), value: v.value ? undefined : t('common.required') }))
  return (
    <Dialog title={`${t('nameservers.kvAdd')} · ${namespace}`} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField mono label={t('common.key')} readOnly={pair.key !== ''} value={form.values.key} onChange={(x) => form.set('key', x)} error={form.error('key')} />
        <TextArea label={t('common.value')} rows={4} value={form.values.value} onChange={(x) => form.set('value', x)} error={form.error('value')} />
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('common.save')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
