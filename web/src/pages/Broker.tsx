import { Link, useParams } from '@tanstack/react-router'
import { ChevronDown } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import { Menu, MenuItem } from '@/components/Menu'
import { Page, Skeleton } from '@/components/Layout'
import { MetricPanel, RangePicker } from '@/components/MetricPanel'
import { PlanConfirm } from '@/components/PlanConfirm'
import { ProblemBox } from '@/components/Problem'
import { Tabs, useTab } from '@/components/Tabs'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { BrokerConfig } from './broker/BrokerConfig'
import { BrokerGroups } from './broker/BrokerGroups'
import { BrokerHA } from './broker/BrokerHA'
import { BrokerStatus } from './broker/BrokerStatus'
import { BrokerTimer } from './broker/BrokerTimer'
import { BrokerRole, BrokerState } from './Brokers'

const ACTIONS = ['wipeWrite', 'addWrite', 'cleanExpiredCq', 'cleanUnusedTopics', 'deleteExpiredCommitLog'] as const

export default function Broker() {
  const t = useT()
  const cluster = useCluster()
  const admin = useMay('admin')
  const { name = '', id = '0' } = useParams({ strict: false }) as { name?: string; id?: string }
  const [action, setAction] = useState<(typeof ACTIONS)[number] | null>(null)
  const params = { cluster, broker: name, id }
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}', { params, every: 5_000 })
  const d = q.data
  const tabs = [
    { id: 'status', label: t('brokers.tabStatus') },
    { id: 'metrics', label: t('brokers.tabMetrics') },
    { id: 'config', label: t('brokers.tabConfig') },
    { id: 'ha', label: t('brokers.tabHa') },
    { id: 'timer', label: t('brokers.tabTimer') },
    { id: 'groups', label: t('brokers.tabGroups') },
  ]
  const tab = useTab(tabs)
  return (
    <Page
      title={`${name} / ${id}`}
      eyebrow={<Link to="/c/$c/brokers" params={{ c: cluster } as never} className="hover:text-ink">{t('brokers.title')}</Link>}
      badges={
        d && (
          <>
            <BrokerRole role={d.broker.role} />
            <BrokerState broker={d.broker} />
            <span className="name text-ink-3">{d.broker.addr}</span>
          </>
        )
      }
      actions={
        <>
          {tab === 'metrics' && <RangePicker />}
          {admin && (
            <Menu label={t('common.actions')} className="btn" trigger={<>{t('common.actions')}<ChevronDown aria-hidden className="size-3.5" /></>}>
              {ACTIONS.map((a) => (
                <MenuItem key={a} danger={a === 'deleteExpiredCommitLog'} onSelect={() => setAction(a)}>{t(`brokers.${a}`)}</MenuItem>
              ))}
            </Menu>
          )}
        </>
      }
    >
      <Tabs label={`${name} / ${id}`} tabs={tabs} />
      {q.error && !d ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !d ? (
        <Skeleton lines={8} />
      ) : tab === 'status' ? (
        <BrokerStatus detail={d} />
      ) : tab === 'metrics' ? (
        <Metrics broker={name} />
      ) : tab === 'config' ? (
        <BrokerConfig broker={name} id={id} />
      ) : tab === 'ha' ? (
        <BrokerHA params={params} />
      ) : tab === 'timer' ? (
        <BrokerTimer params={params} />
      ) : (
        <BrokerGroups params={params} />
      )}
      {action && (
        <PlanConfirm
          title={t(`brokers.${action}`)}
          action={t(`brokers.${action}Do`)}
          danger={action !== 'addWrite'}
          type={action === 'deleteExpiredCommitLog' || action === 'wipeWrite' ? name : undefined}
          run={(dryRun) => call('POST', '/clusters/{cluster}/brokers/{broker}/{id}/actions/{action}', { params: { ...params, action }, query: { dryRun: dryRun || undefined } })}
          onDone={() => {
            toast('ok', t('brokers.done', { action: t(`brokers.${action}`) }))
            void q.refetch()
          }}
          onClose={() => setAction(null)}
        >
          <p className="text-ink-2">{t(`brokers.${action}Hint`)}</p>
        </PlanConfirm>
      )}
    </Page>
  )
}

function Metrics({ broker }: { broker: string }) {
  const t = useT()
  const match = [`broker=${broker}`]
  const whole = (title: string) => () => title
  const panels: [string, string, ((l: Record<string, string>) => string)?][] = [
    ['broker.in.tps', t('brokers.metricIn')],
    ['broker.out.tps', t('brokers.metricOut')],
    ['broker.in.bytes', t('brokers.metricBytesIn')],
    ['broker.out.bytes', t('brokers.metricBytesOut')],
    ['broker.put.avg', t('brokers.metricPut')],
    ['broker.disk.ratio', t('brokers.metricDisk')],
    ['broker.dispatch.behind', t('brokers.metricDispatch')],
    ['broker.ha.lag', t('brokers.metricHa'), (l) => l.slave ?? broker],
  ]
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      {panels.map(([name, title, line]) => (
        <MetricPanel key={name} name={name} title={title} match={match} by={name === 'broker.ha.lag' ? 'slave' : 'broker'} line={line ?? whole(title)} />
      ))}
    </div>
  )
}
