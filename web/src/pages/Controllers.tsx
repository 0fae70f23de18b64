import { Network } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Page, Panel, Skeleton } from '@/components/Layout'
import { PlanConfirm } from '@/components/PlanConfirm'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge, Tag } from '@/components/Status'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'

export default function Controllers() {
  const t = useT()
  const q = useApi('/clusters/{cluster}/controllers', { every: 5_000 })
  const some = (q.data?.items.length ?? 0) > 0
  return (
    <Page title={t('controllers.title')}>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          plain
          id="controllers"
          label={t('controllers.title')}
          rows={q.data?.items}
          rowKey={(r) => r.addr}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="addr"
          columns={[
            { id: 'addr', label: t('common.address'), value: (r) => r.addr, format: 'name' },
            { id: 'state', label: t('common.state'), value: (r) => (r.reachable ? 1 : 0), cell: (r) => <StatusBadge tone={r.reachable ? 'ok' : 'bad'} title={r.error?.detail}>{t(r.reachable ? 'brokers.reachable' : 'brokers.unreachable')}</StatusBadge> },
            { id: 'role', label: t('controllers.role'), value: (r) => (r.leader ? 1 : 0), cell: (r) => r.reachable && <Tag tone={r.leader ? 'accent' : undefined}>{t(r.leader ? 'controllers.leader' : 'controllers.follower')}</Tag> },
            { id: 'leader', label: t('controllers.leaderAddr'), value: (r) => r.leaderAddr, format: 'name' },
            { id: 'group', label: t('controllers.group'), value: (r) => r.group },
            { id: 'peers', label: t('controllers.peers'), value: (r) => r.peers?.join(' '), format: 'name' },
          ]}
          empty={<EmptyState icon={Network} title={t('controllers.empty')}>{t('controllers.emptyHint')}</EmptyState>}
        />
      </Panel>
      {some && <SyncStates />}
    </Page>
  )
}

type Ask = { what: 'elect' | 'forget'; replica: S['Replica'] }

function SyncStates() {
  const t = useT()
  const cluster = useCluster()
  const admin = useMay('admin')
  const q = useApi('/clusters/{cluster}/controllers/syncState', { every: 5_000 })
  const [ask, setAsk] = useState<Ask | null>(null)
  if (q.error && !q.data) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!q.data) return <Skeleton lines={4} />
  const run = (dryRun: boolean) => {
    const { broker, id } = ask!.replica
    return ask!.what === 'elect'
      ? call('POST', '/clusters/{cluster}/controllers/elect', { params: { cluster }, query: { dryRun: dryRun || undefined }, body: { broker, id } })
      : call('DELETE', '/clusters/{cluster}/controllers/brokers', { params: { cluster }, query: { broker, ids: String(id), dryRun: dryRun || undefined } })
  }
  return (
    <>
      <PartialBanner errors={q.data.errors} />
      {q.data.items.length === 0 && <Panel title={t('controllers.sync')}><p className="text-ink-3">{t('controllers.noSync')}</p></Panel>}
      {q.data.items.map((s) => (
        <Panel key={s.broker} flush title={<span className="name text-sm">{s.broker}</span>} note={`${t('controllers.epoch')} ${s.epoch} / ${s.stateEpoch}`}>
          <DataTable
            plain
            id={`sync-${s.broker}`}
            label={`${t('controllers.sync')} ${s.broker}`}
            rows={[...s.inSync.map((r) => ({ ...r, in: true })), ...s.notInSync.map((r) => ({ ...r, in: false }))]}
            rowKey={(r) => String(r.id)}
            sort="id"
            urlKey={`${s.broker}.`}
            columns={[
              { id: 'id', label: 'Id', value: (r) => r.id },
              { id: 'addr', label: t('common.address'), value: (r) => r.addr, format: 'name' },
              { id: 'role', label: t('controllers.role'), value: (r) => (r.id === s.masterId ? 0 : 1), cell: (r) => (r.id === s.masterId ? <Tag tone="accent">{t('controllers.master')}</Tag> : <Tag>{t('brokers.role_slave')}</Tag>) },
              { id: 'alive', label: t('common.state'), value: (r) => (r.alive ? 1 : 0), cell: (r) => <StatusBadge tone={r.alive ? 'ok' : 'bad'}>{t(r.alive ? 'controllers.alive' : 'controllers.dead')}</StatusBadge> },
              { id: 'sync', label: t('controllers.inSync'), value: (r) => (r.in ? 1 : 0), cell: (r) => <StatusBadge tone={r.in ? 'ok' : 'warn'}>{t(r.in ? 'controllers.inSync' : 'controllers.notInSync')}</StatusBadge> },
              ...(admin
                ? [
                    {
                      id: 'do', label: '', value: () => '', className: 'num',
                      cell: (r: S['Replica']) =>
                        r.id !== s.masterId && (
                          <span className="inline-flex gap-1.5">
                            {r.alive && <Button small onClick={() => setAsk({ what: 'elect', replica: r })}>{t('controllers.elect')}</Button>}
                            {!r.alive && <Button small kind="danger-line" onClick={() => setAsk({ what: 'forget', replica: r })}>{t('controllers.forget')}</Button>}
                          </span>
                        ),
                    },
                  ]
                : []),
            ]}
          />
        </Panel>
      ))}
      {ask && (
        <PlanConfirm
          title={t(ask.what === 'elect' ? 'controllers.electTitle' : 'controllers.forgetTitle')}
          type={ask.replica.addr}
          action={t(ask.what === 'elect' ? 'controllers.elect' : 'controllers.forget')}
          run={run}
          onDone={() => {
            toast('ok', ask.what === 'elect' ? t('controllers.electDone', { broker: ask.replica.broker, addr: ask.replica.addr }) : t('controllers.forgetDone', { addr: ask.replica.addr }))
            void q.refetch()
          }}
          onClose={() => setAsk(null)}
        >
          <p className="text-ink-2">{t(ask.what === 'elect' ? 'controllers.electHint' : 'controllers.forgetHint')}</p>
        </PlanConfirm>
      )}
    </>
  )
}
