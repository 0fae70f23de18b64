import { Waypoints } from 'lucide-react'
import { useApi } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { EmptyState, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { useFormats } from '@/lib/format'
import { bar, spansOf, type Span } from '@/lib/trace'

/** Sent, stored, consumed: each as a bar on one time axis, and the same as a table's text. */
export function TraceView({ cluster, message, topic, by, traceTopic }: { cluster: string; message: string; topic?: string; by?: string; traceTopic?: string }) {
  const t = useT()
  const f = useFormats()
  const q = useApi('/clusters/{cluster}/messages/{message}/trace', { params: { cluster, message }, query: { topic, by, traceTopic }, every: 5_000 })
  if (q.error && !q.data) return q.error.status === 404 ? <None /> : <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!q.data) return <Skeleton lines={4} />
  const spans = spansOf(q.data.items)
  if (spans.length === 0) return <None />
  const first = spans[0]!
  return (
    <>
      <PartialBanner errors={q.data.errors} />
      <p className="mb-2 text-xs text-ink-3">{t('trace.begins', { time: f.time(first.start), zone: f.zoneName })}</p>
      <div className="overflow-x-auto">
        <table className="grid-table" aria-label={t('trace.timeline')}>
          <thead>
            <tr>
              <th>{t('trace.what')}</th>
              <th>{t('trace.who')}</th>
              <th className="num">{t('trace.after')}</th>
              <th className="num">{t('trace.took')}</th>
              <th>{t('trace.result')}</th>
              <th className="w-2/5 min-w-32"><span className="sr-only">{t('trace.timeline')}</span></th>
            </tr>
          </thead>
          <tbody>
            {spans.map((s) => (
              <Row key={s.id} span={s} all={spans} begin={first.start} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  )

  function None() {
    return <EmptyState icon={Waypoints} title={t('trace.none')}>{t('trace.noneHint')}</EmptyState>
  }
}

function Row({ span: s, all, begin }: { span: Span; all: Span[]; begin: number }) {
  const t = useT()
  const f = useFormats()
  const b = bar(s, all)
  const e = s.event
  const tone = s.open ? 'unknown' : s.success === false ? 'bad' : s.success ? 'ok' : 'unknown'
  return (
    <tr>
      <td>
        {t(`trace.kind_${s.kind}`)}
        {s.retry ? <span className="ml-1.5 text-ink-3">{t('trace.retry', { n: s.retry })}</span> : null}
      </td>
      <td title={[e.storeHost, e.msgId, e.keys].filter(Boolean).join(' · ')}>
        <span className="name">{s.group || '–'}</span> <span className="name text-ink-3">{s.host}</span>
      </td>
      <td className="num" title={f.time(s.start)}>+{f.span(s.start - begin)}</td>
      <td className="num">{s.cost === undefined ? '–' : f.span(s.cost)}</td>
      <td>
        <StatusBadge tone={tone}>{s.open ? t('trace.open') : s.success === false ? t('trace.failed') : s.success ? t('trace.ok') : e.transactionState || t('common.unknown')}</StatusBadge>
      </td>
      <td aria-hidden>
        <span className="relative block h-2.5 rounded-sm bg-sunken">
          <span className={cn('absolute inset-y-0 rounded-sm', s.success === false ? 'bg-bad' : s.kind === 'sub' ? 'bg-accent' : 'bg-comet')} style={{ left: `${b.left * 100}%`, width: `${b.width * 100}%` }} />
        </span>
      </td>
    </tr>
  )
}
