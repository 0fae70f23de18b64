import type { S } from '@/api/types'

export interface Span {
  id: string
  kind: 'pub' | 'sub' | 'endTransaction' | 'recall'
  /** ms since the epoch. */
  start: number
  /** ms; undefined: not known, as of a consumption that has not ended. */
  cost?: number
  group?: string
  host?: string
  success?: boolean
  retry?: number
  /** The beginning was told, the end not yet. */
  open?: boolean
  event: S['TraceEvent']
}

/** Puts the two records of a consumption together, by the request that they share, and sorts by time. */
export function spansOf(events: readonly S['TraceEvent'][]): Span[] {
  const before = new Map<string, S['TraceEvent']>()
  for (const e of events) if (e.type === 'subBefore' && e.requestId) before.set(e.requestId, e)
  const spans: Span[] = []
  const closed = new Set<string>()
  events.forEach((e, i) => {
    if (e.type === 'subBefore') return
    const cost = e.costMs !== undefined && e.costMs >= 0 ? e.costMs : undefined
    if (e.type !== 'subAfter') {
      spans.push({ id: String(i), kind: e.type, start: e.time, cost, group: e.group, host: e.host, success: e.success, event: e })
      return
    }
    const b = e.requestId ? before.get(e.requestId) : undefined
    if (b?.requestId) closed.add(b.requestId)
    const start = b?.time ?? (e.time > 0 ? e.time - (cost ?? 0) : 0)
    spans.push({ id: String(i), kind: 'sub', start, cost, group: e.group || b?.group, host: e.host || b?.host, success: e.success, retry: e.retryTimes ?? b?.retryTimes, event: { ...b, ...e } })
  })
  events.forEach((e, i) => {
    if (e.type === 'subBefore' && !(e.requestId && closed.has(e.requestId))) spans.push({ id: String(i), kind: 'sub', start: e.time, group: e.group, host: e.host, retry: e.retryTimes, open: true, event: e })
  })
  return spans.toSorted((a, b) => a.start - b.start)
}

/** Where a span's bar is, in shares of the whole; at least 0.5 % wide, so that it can be seen. */
export function bar(s: Span, all: readonly Span[]): { left: number; width: number } {
  const begin = Math.min(...all.map((x) => x.start))
  const whole = Math.max(1, Math.max(...all.map((x) => x.start + (x.cost ?? 0))) - begin)
  const left = Math.min(0.995, (s.start - begin) / whole)
  return { left, width: Math.min(1 - left, Math.max(0.005, (s.cost ?? 0) / whole)) }
}
