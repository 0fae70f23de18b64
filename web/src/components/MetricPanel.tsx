import { useMemo } from 'react'
import { useApi } from '@/api/hooks'
import { useT } from '@/i18n'
import { useRecent } from '@/lib/recent'
import { useSearchState, useSetSearch } from '@/lib/url'
import { MetricChart } from './Chart'
import { Button, Pick } from './Form'
import { Panel } from './Layout'
import { ProblemBox } from './Problem'

const HOUR = 3_600_000
const SPANS = { '1h': HOUR, '6h': 6 * HOUR, '1d': 24 * HOUR, '7d': 168 * HOUR } as const
type Span = keyof typeof SPANS

export interface Range {
  from: number
  to: number
  /** About 400 points, on one of the steps that are kept. */
  step: number
}

/** The time range of a page, kept in the URL as ?range=6h, or ?from= and ?to= after a zoom. */
export function useRange(): Range {
  const { range, from, to } = useSearchState()
  const recent = useRecent(SPANS[(range as Span) in SPANS ? (range as Span) : '1h'])
  return useMemo(() => {
    const fixed = from && to && Number(to) > Number(from) ? { from: Number(from), to: Number(to) } : recent
    const span = fixed.to - fixed.from
    const step = [10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000].find((s) => span / s <= 500) ?? 3_600_000
    return { ...fixed, step }
  }, [from, to, recent])
}

export function RangePicker() {
  const t = useT()
  const { range, from, to } = useSearchState()
  const set = useSetSearch()
  const zoomed = !!from && !!to
  return (
    <div className="flex items-center gap-2">
      {zoomed && <Button small onClick={() => set({ from: undefined, to: undefined })}>{t('brokers.zoomOut')}</Button>}
      <Pick
        label={t('brokers.range')}
        value={zoomed ? 'custom' : (range ?? '1h')}
        onChange={(v) => v !== 'custom' && set({ range: v === '1h' ? undefined : v, from: undefined, to: undefined })}
        options={[...(['1h', '6h', '1d', '7d'] as const).map((value) => ({ value, label: t(`brokers.range_${value}`) })), ...(zoomed ? [{ value: 'custom', label: t('brokers.range_custom') }] : [])]}
      />
    </div>
  )
}

/** One series over the page's range. match: label=value, as /metrics/query wants it. */
export function MetricPanel({ name, title, match, by, top, line, height = 170, className }: {
  name: string
  title: string
  match?: string[]
  /** The labels that stay apart, with commas; the others are added up. */
  by?: string
  top?: number
  line?: (labels: Record<string, string>) => string
  height?: number
  className?: string
}) {
  const range = useRange()
  const set = useSetSearch()
  const q = useApi('/clusters/{cluster}/metrics/query', { query: { name, match, by, top, ...range }, keep: true })
  return (
    <Panel title={title} className={className} actions={<span className="w-6" />}>
      {q.error && !q.data ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : (
        <MetricChart data={q.data} label={title} name={line} sync="page" height={height} onZoom={(from, to) => set({ from: String(from), to: String(to) }, { push: true })} />
      )}
    </Panel>
  )
}
