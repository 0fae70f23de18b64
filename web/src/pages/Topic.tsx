import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { MailSearch, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import { PartialBanner } from '@/components/Banner'
import { Button } from '@/components/Form'
import { Page, Skeleton, Stat, Stats } from '@/components/Layout'
import { MetricPanel, RangePicker } from '@/components/MetricPanel'
import { PlanConfirm } from '@/components/PlanConfirm'
import { ProblemBox } from '@/components/Problem'
import { Tag } from '@/components/Status'
import { Tabs, useTab } from '@/components/Tabs'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { TopicConfig, TopicGroups, TopicProducers, TopicQueues, TopicRoute } from './topic/TopicTabs'

export default function Topic() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const navigate = useNavigate()
  const admin = useMay('admin')
  const operator = useMay('operator')
  const { t: name = '' } = useParams({ strict: false }) as { t?: string }
  const [deleting, setDeleting] = useState(false)
  const params = { cluster, topic: name }
  const q = useApi('/clusters/{cluster}/topics/{topic}', { params })
  const stats = useApi('/clusters/{cluster}/topics/{topic}/stats', { params, every: 3_000 })
  const d = q.data
  const tabs = [
    { id: 'queues', label: t('topics.tabQueues') },
    { id: 'groups', label: t('topics.tabGroups') },
    { id: 'producers', label: t('topics.tabProducers') },
    { id: 'route', label: t('topics.tabRoute') },
    { id: 'config', label: t('topics.tabConfig') },
    { id: 'metrics', label: t('topics.tabMetrics') },
  ]
  const tab = useTab(tabs)
  return (
    <Page
      title={name}
      eyebrow={<Link to="/c/$c/topics" params={{ c: cluster } as never} className="hover:text-ink">{t('topics.title')}</Link>}
      badges={d && <Tag tone={d.type === 'NORMAL' || d.type === 'UNSPECIFIED' ? undefined : 'accent'}>{t(`topics.type_${d.type}`)}</Tag>}
      actions={
        <>
          {tab === 'metrics' && <RangePicker />}
          <Link className="btn" to="/c/$c/topics/$t/messages" params={{ c: cluster, t: name } as never}>
            <MailSearch aria-hidden className="size-3.5" />
            {t('topics.messagesLink')}
          </Link>
          {admin && d && d.type !== 'SYSTEM' && (
            <Button kind="danger-line" onClick={() => setDeleting(true)}>
              <Trash2 aria-hidden className="size-3.5" />
              {t('common.delete')}
            </Button>
          )}
        </>
      }
    >
      <PartialBanner errors={d?.errors ?? stats.data?.errors} />
      {d && (
        <Stats>
          <Stat label={t('topics.inTps')} value={f.rate(stats.data?.putTps)} />
          <Stat label={t('topics.inToday')} value={f.compact(stats.data?.inToday)} />
          <Stat label={t('topics.messages')} value={f.compact(stats.data?.messages)} sub={stats.data ? f.int(stats.data.messages) : undefined} />
          <Stat label={t('topics.queuesN')} value={f.int(d.configs.reduce((n, c) => n + c.readQueues, 0))} sub={d.configs.map((c) => c.broker).join(', ')} />
        </Stats>
      )}
      <Tabs label={name} tabs={tabs} />
      {q.error && !d ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : tab === 'queues' ? (
        <TopicQueues topic={name} stats={stats.data} error={stats.error} onRetry={() => void stats.refetch()} />
      ) : tab === 'groups' ? (
        <TopicGroups params={params} />
      ) : tab === 'producers' ? (
        <TopicProducers params={params} />
      ) : tab === 'route' ? (
        <TopicRoute params={params} />
      ) : tab === 'metrics' ? (
        <TopicMetrics topic={name} />
      ) : !d ? (
        <Skeleton lines={6} />
      ) : (
        <TopicConfig name={name} configs={d.configs} editable={operator} />
      )}
      {deleting && (
        <PlanConfirm
          title={t('topics.deleteTitle')}
          type={name}
          action={t('topics.deleteTitle')}
          run={(dryRun) => call('DELETE', '/clusters/{cluster}/topics/{topic}', { params, query: { dryRun: dryRun || undefined } })}
          onDone={() => {
            toast('ok', t('topics.deleted', { name }))
            void navigate({ to: '/c/$c/topics' as '/', params: { c: cluster } as never })
          }}
          onClose={() => setDeleting(false)}
        >
          <p className="text-ink-2">{t('topics.deleteHint')}</p>
          {stats.data && <p>{t('topics.messages')}: <b>{f.int(stats.data.messages)}</b></p>}
        </PlanConfirm>
      )}
    </Page>
  )
}

function TopicMetrics({ topic }: { topic: string }) {
  const t = useT()
  const match = [`topic=${topic}`]
  const panels: [string, string][] = [
    ['topic.in.tps', t('topics.metricIn')],
    ['topic.out.tps', t('topics.metricOut')],
    ['topic.in.bytes', t('topics.metricBytesIn')],
    ['topic.out.bytes', t('topics.metricBytesOut')],
  ]
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      {panels.map(([name, title]) => (
        <MetricPanel key={name} name={name} title={title} match={match} by="topic" line={() => title} />
      ))}
    </div>
  )
}
