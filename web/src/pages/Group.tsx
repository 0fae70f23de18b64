import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { RotateCcw, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { Page, Panel, Skeleton, Stat, Stats } from '@/components/Layout'
import { MetricPanel, RangePicker } from '@/components/MetricPanel'
import { PlanConfirm } from '@/components/PlanConfirm'
import { ProblemBox } from '@/components/Problem'
import { Tag } from '@/components/Status'
import { Tabs, useTab } from '@/components/Tabs'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { toNum, useFormats } from '@/lib/format'
import { GroupClients } from './group/GroupClients'
import { GroupDialog } from './group/GroupDialog'
import { GroupLag } from './group/GroupLag'
import { GroupSubscriptions } from './group/GroupSubscriptions'
import { GroupState } from './Groups'

export default function Group() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const navigate = useNavigate()
  const operator = useMay('operator')
  const admin = useMay('admin')
  const { g: name = '' } = useParams({ strict: false }) as { g?: string }
  const [deleting, setDeleting] = useState(false)
  const params = { cluster, group: name }
  const q = useApi('/clusters/{cluster}/groups/{group}', { params, every: 5_000 })
  const d = q.data
  const tabs = [
    { id: 'lag', label: t('groups.tabLag') },
    { id: 'clients', label: t('groups.tabClients'), count: d?.clients },
    { id: 'subscriptions', label: t('groups.tabSubscriptions') },
    { id: 'config', label: t('groups.tabConfig') },
    { id: 'metrics', label: t('groups.tabMetrics') },
  ]
  const tab = useTab(tabs)
  return (
    <Page
      title={name}
      eyebrow={<Link to="/c/$c/groups" params={{ c: cluster } as never} className="hover:text-ink">{t('groups.title')}</Link>}
      badges={
        d && (
          <>
            <Tag tone={d.type === 'fifo' ? 'accent' : undefined}>{t(`groups.type_${d.type}`)}</Tag>
            <GroupState online={d.online} clients={d.clients} enabled={d.configs.every((x) => !x.consumeEnable) ? false : undefined} />
          </>
        )
      }
      actions={
        <>
          {tab === 'metrics' && <RangePicker />}
          <Link to="/c/$c/dlq/$g" params={{ c: cluster, g: name } as never} className="btn">{t('dlq.title')}</Link>
          {operator && (
            <Link to="/c/$c/groups/$g/reset" params={{ c: cluster, g: name } as never} className="btn">
              <RotateCcw aria-hidden className="size-3.5" />
              {t('groups.reset')}
            </Link>
          )}
          {admin && (
            <Button kind="danger-line" onClick={() => setDeleting(true)}>
              <Trash2 aria-hidden className="size-3.5" />
              {t('common.delete')}
            </Button>
          )}
        </>
      }
    >
      <PartialBanner errors={d?.errors} />
      {d && (
        <Stats>
          <Stat label={t('groups.lag')} value={f.int(d.lag)} tone={(toNum(d.lag) ?? 0) > 100_000 ? 'warn' : undefined} />
          <Stat label={t('groups.tps')} value={f.rate(d.tps)} />
          <Stat label={t('groups.clients')} value={f.int(d.clients)} />
          <Stat label={t('groups.topics')} value={f.int(d.topics.length)} sub={d.topics.slice(0, 3).join(', ')} />
          <Stat label={t('groups.model')} value={<span className="text-base">{d.model ?? '–'}</span>} sub={[d.consumeType, d.fromWhere].filter(Boolean).join(' · ')} />
        </Stats>
      )}
      <Tabs label={name} tabs={tabs} />
      {q.error && !d ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : tab === 'lag' ? (
        <GroupLag params={params} />
      ) : tab === 'clients' ? (
        <GroupClients params={params} />
      ) : tab === 'subscriptions' ? (
        <GroupSubscriptions params={params} />
      ) : tab === 'metrics' ? (
        <GroupMetrics group={name} />
      ) : !d ? (
        <Skeleton lines={6} />
      ) : (
        <GroupConfig name={name} configs={d.configs} editable={operator} />
      )}
      {deleting && (
        <PlanConfirm
          title={t('groups.deleteTitle')}
          type={name}
          action={t('groups.deleteTitle')}
          run={(dryRun) => call('DELETE', '/clusters/{cluster}/groups/{group}', { params, query: { dryRun: dryRun || undefined } })}
          onDone={() => {
            toast('ok', t('groups.deleted', { name }))
            void navigate({ to: '/c/$c/groups' as '/', params: { c: cluster } as never })
          }}
          onClose={() => setDeleting(false)}
        >
          <p className="text-ink-2">{t('groups.deleteHint')}</p>
        </PlanConfirm>
      )}
    </Page>
  )
}

function GroupConfig({ name, configs, editable }: { name: string; configs: S['GroupConfig'][]; editable: boolean }) {
  const t = useT()
  const [editing, setEditing] = useState<S['GroupConfig'] | null>(null)
  const yes = (b: boolean) => (b ? t('common.yes') : t('common.no'))
  return (
    <Panel flush>
      <DataTable
        plain
        id="group-config"
        label={t('groups.tabConfig')}
        rows={configs}
        rowKey={(r) => r.broker}
        sort="broker"
        columns={[
          { id: 'broker', label: t('common.broker'), value: (r) => r.broker, format: 'name' },
          { id: 'enable', label: t('groups.consumeEnable'), value: (r) => yes(r.consumeEnable) },
          { id: 'orderly', label: t('groups.type_fifo'), value: (r) => yes(r.consumeMessageOrderly) },
          { id: 'broadcast', label: t('groups.consumeBroadcastEnable'), value: (r) => yes(r.consumeBroadcastEnable) },
          { id: 'retry', label: t('groups.retryMaxTimes'), value: (r) => r.retryMaxTimes, format: 'int' },
          { id: 'queues', label: t('groups.retryQueues'), value: (r) => r.retryQueues, format: 'int' },
          { id: 'timeout', label: t('groups.consumeTimeoutMinutes'), value: (r) => r.consumeTimeoutMinutes, format: 'int' },
          ...(editable ? [{ id: 'edit', label: '', value: () => '', cell: (r: S['GroupConfig']) => <Button small onClick={() => setEditing(r)}>{t('common.edit')}</Button>, className: 'num' }] : []),
        ]}
      />
      {editing && <GroupDialog name={name} config={editing} onClose={() => setEditing(null)} />}
    </Panel>
  )
}

function GroupMetrics({ group }: { group: string }) {
  const t = useT()
  const match = [`group=${group}`]
  const topic = (l: Record<string, string>) => l.topic ?? group
  const panels: [string, string][] = [
    ['group.lag', t('groups.metricLag')],
    ['group.lag.time', t('groups.metricLagTime')],
    ['group.consume.tps', t('groups.metricTps')],
    ['group.inflight', t('groups.metricInflight')],
    ['group.retry', t('groups.metricRetry')],
    ['group.dlq', t('groups.metricDlq')],
  ]
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      {panels.map(([name, title]) => (
        <MetricPanel key={name} name={name} title={title} match={match} by={name === 'group.retry' || name === 'group.dlq' ? 'group' : 'topic'} line={topic} top={8} />
      ))}
    </div>
  )
}
