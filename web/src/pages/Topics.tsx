import { Link } from '@tanstack/react-router'
import { Boxes, Plus } from 'lucide-react'
import { useMemo, useState } from 'react'
import { useApi, useCluster, useList } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable, type Column } from '@/components/DataTable'
import { Button, Pick } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { Tag } from '@/components/Status'
import { useT, type T } from '@/i18n'
import { useRecent } from '@/lib/recent'
import { useUrlState } from '@/lib/url'
import { TopicDialog } from './topic/TopicDialog'

export default function Topics() {
  const t = useT()
  const cluster = useCluster()
  const may = useMay('operator')
  const [type, setType] = useUrlState('type')
  const [creating, setCreating] = useState(false)
  const topics = useList('/clusters/{cluster}/topics', { query: { type: type || undefined }, every: 10_000, keep: true })
  const rates = useTopicRates(topics.data !== undefined && topics.data.items.every((x) => x.inTps === undefined))
  const columns = useMemo(() => topicColumns(t, cluster, rates), [t, cluster, rates])
  const create = may && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      <Plus aria-hidden className="size-4" />
      {t('topics.create')}
    </Button>
  )
  return (
    <Page title={t('topics.title')} actions={create}>
      <PartialBanner errors={topics.data?.errors} />
      <Panel flush>
        <DataTable
          id="topics"
          label={t('topics.title')}
          columns={columns}
          rows={topics.data?.items}
          total={topics.data?.total}
          rowKey={(r) => r.name}
          error={topics.error}
          onRetry={() => void topics.refetch()}
          sort="name"
          tools={
            <Pick
              label={t('topics.types')}
              value={type}
              onChange={setType}
              options={[
                { value: '', label: t('topics.typesUser') },
                ...(['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED', 'LITE', 'PRIORITY', 'UNSPECIFIED', 'RETRY', 'DLQ', 'SYSTEM'] as const).map((value) => ({ value, label: t(`topics.type_${value}`) })),
                { value: 'all', label: t('topics.typesAll') },
              ]}
            />
          }
          empty={
            <EmptyState icon={Boxes} title={t('topics.empty')} action={create}>
              {t('topics.emptyHint')}
            </EmptyState>
          }
        />
      </Panel>
      {creating && <TopicDialog onClose={() => setCreating(false)} />}
    </Page>
  )
}

/** Brokers list topics without their traffic; the busiest 500 are in the time series. */
function useTopicRates(wanted: boolean): Map<string, number> | undefined {
  const range = useRecent(120_000)
  const q = useApi('/clusters/{cluster}/metrics/query', { query: { name: 'topic.in.tps', by: 'topic', top: 500, ...range, step: 10_000 }, enabled: wanted, keep: true })
  return useMemo(() => {
    const series = q.data?.series ?? []
    return series.length === 0 ? undefined : new Map(series.map((s) => [s.labels.topic ?? '', (s.values as (number | null)[]).findLast((v) => v !== null) ?? 0]))
  }, [q.data])
}

export function permText(t: T, perm: number): string {
  return t(perm & 4 ? (perm & 2 ? 'topics.permBoth' : 'topics.permRead') : perm & 2 ? 'topics.permWrite' : 'topics.permNone')
}

function topicColumns(t: T, cluster: string, rates: Map<string, number> | undefined): Column<S['Topic']>[] {
  return [
    {
      id: 'name',
      label: t('common.topic'),
      value: (r) => r.name,
      cell: (r) => (
        <Link to="/c/$c/topics/$t" params={{ c: cluster, t: r.name } as never} className="link name">
          {r.name}
        </Link>
      ),
    },
    { id: 'type', label: t('common.type'), value: (r) => t(`topics.type_${r.type}`), cell: (r) => <Tag tone={r.type === 'NORMAL' || r.type === 'UNSPECIFIED' ? undefined : r.type === 'DLQ' ? 'bad' : 'accent'}>{t(`topics.type_${r.type}`)}</Tag> },
    { id: 'queues', label: t('topics.queues'), title: t('topics.queuesRW'), num: true, value: (r) => r.readQueues, cell: (r) => (r.readQueues === r.writeQueues ? r.readQueues : `${r.readQueues} / ${r.writeQueues}`) },
    { id: 'perm', label: t('topics.perm'), value: (r) => permText(t, r.perm), cell: (r) => (r.perm === 6 ? <span className="text-ink-2">{permText(t, r.perm)}</span> : <Tag tone="warn">{permText(t, r.perm)}</Tag>) },
    { id: 'inTps', label: t('topics.inTps'), value: (r) => r.inTps ?? rates?.get(r.name), format: 'rate', optional: true },
    { id: 'inToday', label: t('topics.inToday'), value: (r) => (r.inToday === undefined ? undefined : BigInt(r.inToday)), format: 'int', optional: true },
    { id: 'groups', label: t('topics.groups'), value: (r) => r.groups, format: 'int', optional: true },
    { id: 'brokers', label: t('topics.brokers'), value: (r) => r.brokers.join(', '), format: 'name', className: 'text-ink-2' },
  ]
}
