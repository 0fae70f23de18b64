import { Rss, TriangleAlert } from 'lucide-react'
import { useApi } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { EmptyState, Panel } from '@/components/Layout'
import { Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { toNum } from '@/lib/format'

export function GroupSubscriptions({ params }: { params: { cluster: string; group: string } }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/groups/{group}/subscriptions', { params, every: 10_000 })
  const wrong = q.data?.mismatches ?? []
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      {wrong.length > 0 && (
        <div role="status" className="flex items-start gap-2.5 rounded-md border border-bad/40 bg-bad-soft px-3.5 py-2.5">
          <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
          <div className="min-w-0">
            <div className="font-medium text-bad">{t('groups.mismatch', { count: wrong.length })}</div>
            <ul className="mt-0.5">
              {wrong.map((m, i) => (
                <li key={i} className="break-words">{t('groups.mismatchLine', { client: m.clientId, topic: m.topic, is: m.expression ?? t('groups.mismatchNone'), expected: m.expected })}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      <Panel flush>
        <DataTable
          plain
          id={`subscriptions-${params.group}`}
          label={t('groups.tabSubscriptions')}
          rows={q.data?.items}
          rowKey={(r) => r.topic}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="topic"
          columns={[
            { id: 'topic', label: t('groups.topic'), value: (r) => r.topic, format: 'name' },
            { id: 'type', label: t('groups.expressionType'), value: (r) => r.expressionType, cell: (r) => <Tag>{r.expressionType}</Tag> },
            { id: 'expression', label: t('groups.expression'), value: (r) => r.expression, format: 'name' },
            { id: 'version', label: t('groups.subVersion'), value: (r) => toNum(r.version), format: 'ago' },
          ]}
          empty={<EmptyState icon={Rss} title={t('groups.noSubscriptions')}>{t('groups.noSubscriptionsHint')}</EmptyState>}
        />
      </Panel>
    </>
  )
}
