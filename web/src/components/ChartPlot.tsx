import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import { useFormats } from '@/lib/format'
import { usePrefs, zoneOf } from '@/lib/prefs'
import { unitText, type ChartProps, type Unit } from './Chart'

const COLOURS = 8
/** The axis reaches at least so far: ticks of a flat line would else all read the same. */
const LEAST: Record<Unit, number> = { count: 5, rate: 1, bytes: 1024, 'bytes/s': 1024, ms: 5, ratio: 1 }
/** Fewer values than this are drawn as dots too: a lone one is no line. */
const SPARSE = 40

/** The drawing itself; a chunk of its own, so that pages without charts do not load uPlot. */
export default function ChartPlot({ label, t0, step, lines, unit, height = 200, sync, onZoom }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const f = useFormats()
  const p = usePrefs()
  const [at, setAt] = useState<number | null>(null)
  const [off, setOff] = useState<ReadonlySet<string>>(new Set())
  const zoom = useRef(onZoom)
  useEffect(() => {
    zoom.current = onZoom
  })

  const data = useMemo<uPlot.AlignedData>(() => {
    const n = Math.max(0, ...lines.map((l) => l.values.length))
    return [Array.from({ length: n }, (_, i) => (t0 + i * step) / 1000), ...lines.map((l) => l.values as (number | null)[])]
  }, [lines, t0, step])
  const names = lines.map((l) => l.label).join('\n')

  useEffect(() => {
    const el = box.current
    if (!el) return
    const css = getComputedStyle(document.documentElement)
    const v = (name: string) => css.getPropertyValue(name).trim()
    const font = `11px ${css.getPropertyValue('--font-sans') || 'sans-serif'}`
    const zone = zoneOf(p)
    const axisTime = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    const axisSeconds = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
    const axisDay = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    const grid = { stroke: v('--line'), width: 1 }
    const u = new uPlot(
      {
        width: el.clientWidth || 400,
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        tzDate: zone ? (ts) => uPlot.tzDate(new Date(ts * 1000), zone) : undefined,
        cursor: {
          y: false,
          points: { size: 6 },
          drag: { x: true, y: false, setScale: false },
          sync: sync ? { key: sync } : undefined,
        },
        scales: { y: { range: (_u, min, max) => [Math.min(0, min ?? 0), Math.max((max ?? 0) * 1.08, LEAST[unit])] } },
        axes: [
          {
            stroke: v('--ink-3'), font, grid: { show: false }, ticks: { stroke: v('--line'), size: 4 }, size: 26, gap: 4, space: 70,
            values: (_u, ts) => {
              const wide = ts.length > 1 && ts.at(-1)! - ts[0]! > 86_400
              const fine = ts.length > 1 && ts[1]! - ts[0]! < 60
              return ts.map((x) => (wide ? axisDay : fine ? axisSeconds : axisTime).format(x * 1000))
            },
          },
          {
            stroke: v('--ink-3'), font, grid, ticks: { show: false }, gap: 6, space: 36,
            size: (_u, values) => Math.max(40, ...(values ?? []).map((s) => s.length * 6.4 + 14)),
            values: (_u, ys) => ys.map((y) => unitText(f, unit, y)),
            incrs: unit === 'count' ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9, 1e10] : undefined,
          },
        ],
        series: [
          {},
          ...names.split('\n').map((name, i, all) => {
            const colour = v(`--c${(i % COLOURS) + 1}`)
            return { label: name, stroke: colour, width: 1.5, fill: all.length === 1 ? colour + '1f' : undefined, points: { size: 4, fill: colour, show: (u: uPlot, k: number) => (u.data[k] as (number | null)[]).filter((x) => x !== null).length < SPARSE }, spanGaps: false }
          }),
        ],
        hooks: {
          setCursor: [(c) => setAt(c.cursor.idx ?? null)],
          setSelect: [
            (c) => {
              if (c.select.width < 6) return
              zoom.current?.(Math.round(c.posToVal(c.select.left, 'x') * 1000), Math.round(c.posToVal(c.select.left + c.select.width, 'x') * 1000))
              c.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            },
          ],
        },
      },
      [[], ...names.split('\n').map(() => [])],
      el,
    )
    plot.current = u
    const watch = new ResizeObserver(() => u.setSize({ width: el.clientWidth, height }))
    watch.observe(el)
    return () => {
      watch.disconnect()
      u.destroy()
      plot.current = null
    }
    // The plot is made again when its looks change; new data goes into the one that is there.
  }, [names, height, unit, sync, p, f])

  useEffect(() => {
    plot.current?.setData(data)
  }, [data, names, height, unit, sync, p, f])
  useEffect(() => {
    names.split('\n').forEach((name, i) => plot.current?.setSeries(i + 1, { show: !off.has(name) }))
  }, [off, names])

  const i = at ?? data[0].length - 1
  return (
    <div>
      <div ref={box} role="img" aria-label={label} style={{ height }} className="w-full overflow-hidden" />
      <ul className="m-0 flex max-h-24 list-none flex-wrap gap-x-4 gap-y-0.5 overflow-y-auto p-0 pt-1.5 text-xs">
        {lines.map((l, k) => (
          <li key={l.label}>
            <button
              type="button"
              aria-pressed={!off.has(l.label)}
              onClick={() => {
                const next = new Set(off)
                if (!next.delete(l.label)) next.add(l.label)
                setOff(next)
              }}
              className="flex items-center gap-1.5 text-ink-2 aria-[pressed=false]:opacity-45"
            >
              <span aria-hidden className="h-[3px] w-3 rounded-full" style={{ background: `var(--c${(k % COLOURS) + 1})` }} />
              {l.label}
              <span className="min-w-10 text-left font-medium text-ink">{unitText(f, unit, l.values[i])}</span>
            </button>
          </li>
        ))}
        <li className="ml-auto text-ink-3">{data[0][i] !== undefined && f.clock(data[0][i]! * 1000)}</li>
      </ul>
    </div>
  )
}
