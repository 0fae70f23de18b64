import { Unplug } from 'lucide-react'
import { useState } from 'react'
import { useApi } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Button } from '@/components/Form'
import { EmptyState, Facts, Panel, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { toBig } from '@/lib/format'

type Params = { cluster: string; group: string }

export function GroupClients({ params }: { params: Params }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/groups/{group}/clients', { params, every: 5_000 })
  const [open, setOpen] = useState<string | null>(null)
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          id={`clients-${params.group}`}
          label={t('groups.tabClients')}
          rows={q.data?.items}
          rowKey={(r) => `${r.id}@${r.broker}`}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="id"
          columns={[
            { id: 'id', label: t('groups.clientId'), value: (r) => r.id, cell: (r) => <button type="button" className="link name" onClick={() => setOpen(r.id)}>{r.id}</button> },
            { id: 'address', label: t('common.address'), value: (r) => r.address, format: 'name' },
            { id: 'language', label: t('groups.language'), value: (r) => r.language },
            { id: 'version', label: t('groups.version'), value: (r) => r.version },
            { id: 'since', label: t('groups.since'), value: (r) => r.since, format: 'ago' },
          ]}
          empty={<EmptyState icon={Unplug} title={t('groups.noClients')}>{t('groups.noClientsHint')}</EmptyState>}
        />
      </Panel>
      {open && <Running params={{ ...params, client: open }} onClose={() => setOpen(null)} />}
    </>
  )
}

/** What one client is doing, with the stacks of its threads on request. */
export function Running({ params, onClose }: { params: Params & { client: string }; onClose: () => void }) {
  const t = useT()
  const [stack, setStack] = useState(false)
  const q = useApi('/clusters/{cluster}/groups/{group}/clients/{client}/runningInfo', { params, query: { stack: stack || undefined }, keep: true })
  const d = q.data
  return (
    <Dialog title={<span className="name text-sm">{params.client}</span>} onClose={onClose} width="max-w-4xl">
      {q.error && !d ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !d ? (
        <Skeleton lines={8} />
      ) : (
        <div className="flex flex-col gap-4">
          <DataTable
            plain
            id="running"
            label={t('groups.running')}
            rows={d.queues}
            rowKey={(r) => `${r.topic}/${r.broker}/${r.queue}`}
            sort="topic"
            columns={[
              { id: 'topic', label: t('groups.topic'), value: (r) => r.topic, format: 'name' },
              { id: 'queue', label: t('groups.queue'), value: (r) => `${r.broker} / ${r.queue}`, format: 'name' },
              { id: 'committed', label: t('groups.committed'), value: (r) => toBig(r.committed), format: 'int' },
              { id: 'cached', label: t('groups.inflight'), value: (r) => r.cachedCount, format: 'int' },
              { id: 'last', label: t('groups.lastConsume'), value: (r) => r.lastConsume, format: 'ago' },
            ]}
          />
          <div>
            <div className="eyebrow mb-1">{t('groups.properties')}</div>
            <Facts items={Object.entries(d.properties).toSorted(([a], [b]) => a.localeCompare(b)).map(([k, v]) => ({ label: <span className="name">{k}</span>, value: <span className="name">{v}</span> }))} />
          </div>
          {d.stack ? (
            <pre tabIndex={0} aria-label={t('groups.stack')} className="name max-h-80 overflow-auto rounded border bg-sunken p-3">{d.stack}</pre>
          ) : (
            <div>
              <Button busy={stack && q.isFetching} onClick={() => setStack(true)}>{t('groups.loadStack')}</Button>
            </div>
          )}
        </div>
      )}
    </Dialog>
  )
}
