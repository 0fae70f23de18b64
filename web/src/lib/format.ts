import { useMemo } from 'react'
import { usePrefs, zoneOf, type Prefs } from './prefs'

/** An integer of the API: int64 travel as strings, since a double loses digits above 2^53. */
export type Int = string | number | bigint

/** Null for what is missing or is no integer: an unknown value is shown as unknown, never as 0 or -1. */
export function toBig(v: Int | null | undefined): bigint | null {
  if (v === null || v === undefined || v === '') return null
  if (typeof v === 'number') return Number.isFinite(v) ? BigInt(Math.trunc(v)) : null
  if (typeof v === 'bigint') return v
  return /^-?\d+$/.test(v) ? BigInt(v) : null
}

/** For charts and bars only, where the last digits do not matter. */
export function toNum(v: Int | null | undefined): number | null {
  const b = toBig(v)
  return b === null ? null : Number(b)
}

export const UNKNOWN = '–'
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export interface Formats {
  int(v: Int | null | undefined): string
  /** At most three digits and K, M, G: for tiles and axes. */
  compact(v: Int | null | undefined): string
  rate(v: number | null | undefined): string
  bytes(v: Int | null | undefined): string
  /** v is a share: 0.5 gives 50 %. */
  percent(v: number | null | undefined): string
  /** ms since the epoch, date and time with milliseconds. */
  time(v: Int | null | undefined): string
  clock(v: number): string
  date(v: Int | null | undefined): string
  /** A span in ms: 850 ms, 12 s, 3 min 20 s, 4 h 5 min, 2 d 3 h. */
  span(v: Int | null | undefined): string
  /** How long ago or ahead: 3 minutes ago. */
  ago(v: Int | null | undefined, now?: number): string
  zoneName: string
}

export function formats(p: Pick<Prefs, 'lang' | 'zone'>): Formats {
  const zone = zoneOf(p as Prefs)
  const int = new Intl.NumberFormat(p.lang === 'zh-CN' ? 'zh-CN' : 'en-US')
  const one = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })
  // English units in both languages: 1.2万 beside a rate in MB/s reads worse than 12K to operators.
  const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })
  const time = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit',
    hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
  })
  const date = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' })
  const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
  const rel = new Intl.RelativeTimeFormat(p.lang, { numeric: 'always', style: 'short' })
  const zoneName = zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone

  const f: Formats = {
    int: (v) => {
      const b = toBig(v)
      return b === null ? UNKNOWN : int.format(b)
    },
    compact: (v) => {
      const b = toBig(v)
      return b === null ? UNKNOWN : compact.format(b)
    },
    rate: (v) => (v === null || v === undefined || !Number.isFinite(v) ? UNKNOWN : v !== 0 && Math.abs(v) < 100 ? one.format(v) : compact.format(Math.round(v))),
    bytes: (v) => {
      const b = typeof v === 'number' ? v : toNum(v)
      if (b === null || !Number.isFinite(b)) return UNKNOWN
      let n = Math.abs(b)
      let u = 0
      while (n >= 1024 && u < UNITS.length - 1) {
        n /= 1024
        u++
      }
      return `${b < 0 ? '-' : ''}${n >= 100 || u === 0 ? Math.round(n) : one.format(n)} ${UNITS[u]}`
    },
    percent: (v) => (v === null || v === undefined || !Number.isFinite(v) ? UNKNOWN : `${one.format(v * 100)}%`),
    time: (v) => {
      const b = toNum(v)
      return b === null || b <= 0 ? UNKNOWN : time.format(b).replace(',', '.')
    },
    clock: (v) => clock.format(v),
    date: (v) => {
      const b = toNum(v)
      return b === null || b <= 0 ? UNKNOWN : date.format(b)
    },
    span: (v) => {
      const b = toNum(v)
      if (b === null || b < 0) return UNKNOWN
      const zh = p.lang === 'zh-CN'
      const unit = (n: number, en: string, cn: string) => (zh ? `${n} ${cn}` : `${n} ${en}`)
      if (b < 1000) return unit(Math.round(b), 'ms', '毫秒')
      const s = Math.floor(b / 1000)
      if (s < 60) return unit(s, 's', '秒')
      const two = (big: number, small: number, en: [string, string], cn: [string, string]) =>
        unit(big, en[0], cn[0]) + (small > 0 ? ' ' + unit(small, en[1], cn[1]) : '')
      if (s < 3600) return two(Math.floor(s / 60), s % 60, ['min', 's'], ['分', '秒'])
      if (s < 86400) return two(Math.floor(s / 3600), Math.floor((s % 3600) / 60), ['h', 'min'], ['小时', '分'])
      return two(Math.floor(s / 86400), Math.floor((s % 86400) / 3600), ['d', 'h'], ['天', '小时'])
    },
    ago: (v, now = Date.now()) => {
      const b = toNum(v)
      if (b === null || b <= 0) return UNKNOWN
      const s = Math.round((b - now) / 1000)
      const a = Math.abs(s)
      if (a < 60) return rel.format(s, 'second')
      if (a < 3600) return rel.format(Math.trunc(s / 60), 'minute')
      if (a < 86400) return rel.format(Math.trunc(s / 3600), 'hour')
      return rel.format(Math.trunc(s / 86400), 'day')
    },
    zoneName,
  }
  return f
}

export function useFormats(): Formats {
  const { lang, zone } = usePrefs()
  return useMemo(() => formats({ lang, zone }), [lang, zone])
}

/** Numbers by value, names as people sort them (q2 before q10), unknown last. */
export function compareValues(a: unknown, b: unknown): number {
  const na = a === null || a === undefined || a === ''
  const nb = b === null || b === undefined || b === ''
  if (na || nb) return na && nb ? 0 : na ? 1 : -1
  if (typeof a === 'string' && typeof b === 'string') return collator.compare(a, b)
  const x = a as number | bigint
  const y = b as number | bigint
  return x < y ? -1 : x > y ? 1 : 0
}
const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })
