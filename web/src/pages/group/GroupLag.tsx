import { Link } from '@tanstack/react-router'
import { Hourglass } from 'lucide-react'
import { useMemo } from 'react'
import { useApi } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { EmptyState, Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { toBig, toNum } from '@/lib/format'

/** By queue: where the log ends, where the group is, who has the queue. The bar compares the queues. */
export function GroupLag({ params }: { params: { cluster: string; group: string } }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/groups/{group}/lag', { params, every: 3_000 })
  const most = useMemo(() => Math.max(1, ...(q.data?.items ?? []).map((x) => toNum(x.lag) ?? 0)), [q.data])
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          id={`lag-${params.group}`}
          label={t('groups.tabLag')}
          rows={q.data?.items}
          rowKey={(r) => `${r.topic}/${r.broker}/${r.queue}`}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="topic"
          columns={[
            { id: 'topic', label: t('groups.topic'), value: (r) => r.topic, cell: (r) => <Link to="/c/$c/topics/$t" params={{ c: params.cluster, t: r.topic } as never} className="link name">{r.topic}</Link> },
            { id: 'queue', label: t('groups.queue'), value: (r) => `${r.broker} ${r.queue}`, cell: (r) => <span className="name">{r.broker} <span className="text-ink-3">/ {r.queue}</span></span> },
            {
              id: 'lag',
              label: t('groups.lag'),
              value: (r) => toBig(r.lag),
              num: true,
              cell: (r, f) => {
                const n = toNum(r.lag) ?? 0
                return (
                  <span className="inline-flex w-40 items-center justify-end gap-2">
                    <span aria-hidden className="h-1.5 flex-1 overflow-hidden rounded-full bg-line/60">
                      <span className="ml-auto block h-full rounded-full bg-(--c2)" style={{ width: `${(n / most) * 100}%` }} />
                    </span>
                    <span className="min-w-14">{f.int(r.lag)}</span>
                  </span>
                )
              },
            },
            { id: 'delay', label: t('groups.delay'), value: (r) => toBig(r.delayMs), format: 'span' },
            { id: 'committed', label: t('groups.committed'), value: (r) => toBig(r.committed), format: 'int' },
            { id: 'pulled', label: t('groups.pulled'), value: (r) => toBig(r.pulled), format: 'int', hidden: true },
            { id: 'end', label: t('groups.end'), value: (r) => toBig(r.end), format: 'int' },
            { id: 'last', label: t('groups.lastConsume'), value: (r) => r.lastConsume, format: 'ago' },
            { id: 'client', label: t('groups.client'), value: (r) => r.clientId, format: 'name' },
          ]}
          empty={<EmptyState icon={Hourglass} title={t('groups.noLag')}>{t('groups.noLagHint')}</EmptyState>}
        />
      </Panel>
    </>
  )
}
