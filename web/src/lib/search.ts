import type { Search } from './url'

// What a search for messages asks, as it stands in the page's URL.

export const PREDICATES = ['tag', 'key', 'contains', 'regex', 'json', 'sql', 'property'] as const
export type Predicate = (typeof PREDICATES)[number]

const MIN = 60_000
export const SPANS = { '5m': 5 * MIN, '1h': 60 * MIN, '6h': 360 * MIN, '1d': 1440 * MIN, '7d': 10080 * MIN, '30d': 43200 * MIN } as const
export type Span = keyof typeof SPANS

export interface MessageQuery {
  from?: number
  to?: number
  order?: string
  broker?: string
  queue?: number
  tag?: string
  key?: string
  contains?: string
  regex?: string
  json?: string
  sql?: string
  property?: string[]
}

/** The question of the API. now is when the search was begun: all its pages must ask for the same window. A queue is
 *  broker:number. Keys that do not read are left out. */
export function messageQuery(s: Search, now: number, span: Span): MessageQuery {
  const q: MessageQuery = {}
  const from = Number(s.from)
  const to = Number(s.to)
  if (s.from && s.to && Number.isSafeInteger(from) && Number.isSafeInteger(to)) Object.assign(q, { from, to })
  else q.from = now - SPANS[s.range && s.range in SPANS ? (s.range as Span) : span]
  if (s.order === 'oldest') q.order = 'oldest'
  const colon = s.queue?.lastIndexOf(':') ?? -1
  if (s.queue && colon > 0 && /^\d+$/.test(s.queue.slice(colon + 1))) {
    q.broker = s.queue.slice(0, colon)
    q.queue = Number(s.queue.slice(colon + 1))
  }
  for (const p of PREDICATES) {
    const v = s[p]
    if (!v) continue
    if (p === 'property') q.property = v.split('\n')
    else q[p] = v
  }
  return q
}

/** The first characters of a body on one line, for a list; never more work than that many. */
export function preview(text: string, most = 160): string {
  const cut = text.slice(0, most * 2).replace(/[\s\p{Cc}]+/gu, ' ').trim()
  return cut.length > most || text.length > most * 2 ? cut.slice(0, most) + '…' : cut
}
