import { LineChart, Table2 } from 'lucide-react'
import { lazy, Suspense, useMemo, useState } from 'react'
import type { S } from '@/api/types'
import { useMaybeT, useT } from '@/i18n'
import { useFormats, type Formats } from '@/lib/format'
import { EmptyState } from './Layout'

const Plot = lazy(() => import('./ChartPlot'))

export interface Line {
  label: string
  values: readonly (number | null)[]
}
export type Unit = 'count' | 'rate' | 'bytes' | 'bytes/s' | 'ms' | 'ratio'

export interface ChartProps {
  /** What it shows; for screen readers and the table. */
  label: string
  /** First point, ms since the epoch, and the distance of points in ms. */
  t0: number
  step: number
  lines: Line[]
  unit: Unit
  height?: number
  /** Charts of one group show their cursor together. */
  sync?: string
  onZoom?: (from: number, to: number) => void
  stacked?: boolean
}

export function unitText(f: Formats, unit: Unit, v: number | null | undefined): string {
  if (v === null || v === undefined) return '–'
  switch (unit) {
    case 'bytes':
      return f.bytes(v)
    case 'bytes/s':
      return f.bytes(v) + '/s'
    case 'ms':
      return f.span(v)
    case 'ratio':
      return f.percent(v)
    default:
      return f.rate(v)
  }
}

/** Lines over time, drawn by uPlot (loaded when first needed), with the same figures as a table behind a switch. */
export function Chart(p: ChartProps) {
  const t = useT()
  const [table, setTable] = useState(false)
  const height = p.height ?? 200
  const known = p.lines.some((l) => l.values.some((v) => v !== null))
  const Icon = table ? LineChart : Table2
  return (
    <figure className="relative m-0 min-w-0" aria-label={p.label}>
      <button type="button" className="btn btn-sm btn-icon btn-quiet absolute -top-9 right-0 z-1" aria-pressed={table} aria-label={t('chart.asTable', { what: p.label })} title={t('chart.asTable', { what: p.label })} onClick={() => setTable(!table)}>
        <Icon aria-hidden className="size-3.5" />
      </button>
      {!known ? (
        <div style={{ minHeight: height }} className="grid place-items-center">
          <EmptyState icon={LineChart} title={t('chart.none')}>{t('chart.noneHint')}</EmptyState>
        </div>
      ) : table ? (
        <Twin {...p} />
      ) : (
        <Suspense fallback={<div className="skeleton" style={{ height }} />}>
          <Plot {...p} height={height} />
        </Suspense>
      )}
    </figure>
  )
}

function Twin({ label, lines, t0, step, unit, height = 200 }: ChartProps) {
  const t = useT()
  const f = useFormats()
  const n = Math.max(...lines.map((l) => l.values.length))
  return (
    <div className="overflow-auto" style={{ maxHeight: Math.max(height, 200) }} tabIndex={0} role="group" aria-label={label}>
      <table className="grid-table" aria-label={label}>
        <thead>
          <tr>
            <th>{t('common.time')}</th>
            {lines.map((l) => (
              <th key={l.label} className="num">{l.label}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: Math.min(n, 500) }, (_, k) => n - 1 - k).map((i) => (
            <tr key={i}>
              <td>{f.time(t0 + i * step)}</td>
              {lines.map((l) => (
                <td key={l.label} className="num">{unitText(f, unit, l.values[i])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** The answer of /metrics/query as a chart. Labels are joined into a name for each line; name can choose better. */
export function MetricChart({ data, label, name, ...rest }: { data: S['Metrics'] | undefined; label: string; name?: (labels: Record<string, string>) => string } & Pick<ChartProps, 'height' | 'sync' | 'onZoom'>) {
  const maybe = useMaybeT()
  const lines = useMemo<Line[]>(
    () =>
      (data?.series ?? []).map((s) => ({
        label: name?.(s.labels) ?? (Object.values(s.labels).join(' · ') || (maybe(`metrics.${data!.name}`) ?? data!.name)),
        values: s.values as (number | null)[],
      })),
    [data, name, maybe],
  )
  if (!data) return <div className="skeleton" style={{ height: rest.height ?? 200 }} />
  return <Chart {...rest} label={label} t0={data.t0} step={data.step} lines={lines} unit={chartUnit(data.unit)} />
}

/** The units of internal/series. */
function chartUnit(unit: string | undefined): Unit {
  switch (unit) {
    case 'B':
      return 'bytes'
    case 'B/s':
      return 'bytes/s'
    case '1/s':
      return 'rate'
    case 'ms':
    case 'ratio':
      return unit
    default:
      return 'count'
  }
}
