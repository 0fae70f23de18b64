import { describe, expect, it } from 'vitest'
import type { S } from '@/api/types'
import { toBase64 } from './body'
import { messageQuery, preview } from './search'
import { emptyTail, KEPT, tail } from './tail'
import { bar, spansOf } from './trace'

const msg = (n: number) => ({ id: String(n) }) as S['Message']
const many = (from: number, n: number) => Array.from({ length: n }, (_, i) => msg(from + i))

describe('tail', () => {
  it('shows the newest first and forgets the oldest', () => {
    let s = tail(emptyTail, { type: 'messages', items: many(0, KEPT) })
    s = tail(s, { type: 'messages', items: [msg(KEPT), msg(KEPT + 1)] })
    expect(s.shown).toHaveLength(KEPT)
    expect(s.shown[0]!.id).toBe(String(KEPT + 1))
    expect(s.shown.at(-1)!.id).toBe('2')
    expect(s.dropped).toBe(0)
  })
  it('keeps what comes while paused, and says what it could not keep', () => {
    let s = tail(emptyTail, { type: 'messages', items: [msg(1)] })
    s = tail(s, { type: 'pause' })
    s = tail(s, { type: 'messages', items: many(2, KEPT + 5) })
    expect(s.shown.map((m) => m.id)).toEqual(['1'])
    expect([s.waiting.length, s.dropped]).toEqual([KEPT, 5])
    s = tail(s, { type: 'gap', dropped: 7 })
    s = tail(s, { type: 'resume' })
    expect([s.shown[0]!.id, s.waiting.length, s.dropped, s.paused]).toEqual([String(KEPT + 6), 0, 12, false])
    expect(tail(s, { type: 'clear' })).toMatchObject({ shown: [], dropped: 0 })
  })
})

describe('messageQuery', () => {
  it('asks for the same window on every page of a search', () => {
    expect(messageQuery({}, 10_000_000, '1h')).toEqual({ from: 10_000_000 - 3_600_000 })
    expect(messageQuery({ range: '5m', order: 'oldest' }, 10_000_000, '1h')).toEqual({ from: 10_000_000 - 300_000, order: 'oldest' })
    expect(messageQuery({ from: '5', to: '9', range: '5m' }, 10_000_000, '1h')).toEqual({ from: 5, to: 9 })
  })
  it('leaves out what does not read', () => {
    expect(messageQuery({ from: 'x', to: '9', range: '2y', queue: 'broker-a', order: 'up' }, 3_600_000, '1h')).toEqual({ from: 0 })
  })
  it('takes queue and predicates', () => {
    expect(messageQuery({ from: '1', to: '2', queue: 'a:b:3', tag: 'A || B', property: 'x=1\ny=2', json: '$.a==1' }, 0, '1h')).toEqual({ from: 1, to: 2, broker: 'a:b', queue: 3, tag: 'A || B', property: ['x=1', 'y=2'], json: '$.a==1' })
  })
})

describe('preview', () => {
  it('is one short line', () => {
    expect(preview('a\n  b\tc')).toBe('a b c')
    expect(preview('x'.repeat(5_000_000))).toHaveLength(161)
  })
})

describe('trace', () => {
  it('joins the two records of a consumption and sorts by time', () => {
    const spans = spansOf([
      { type: 'subAfter', time: 0, requestId: 'r', costMs: 30, success: true },
      { type: 'subBefore', time: 120, requestId: 'r', group: 'g', host: 'h', retryTimes: 2 },
      { type: 'pub', time: 100, costMs: 5, success: true },
      { type: 'subBefore', time: 160, requestId: 'open', group: 'g2' },
    ])
    expect(spans.map((s) => [s.kind, s.start, s.cost, s.group, s.open])).toEqual([['pub', 100, 5, undefined, undefined], ['sub', 120, 30, 'g', undefined], ['sub', 160, undefined, 'g2', true]])
    expect(spans[1]!.retry).toBe(2)
    expect(bar(spans[0]!, spans)).toEqual({ left: 0, width: 5 / 60 })
    expect(bar(spans[2]!, spans)).toEqual({ left: 0.995, width: expect.closeTo(0.005) })
  })
})

describe('toBase64', () => {
  it('takes more bytes than a call has arguments', () => {
    const bytes = new Uint8Array(200_000).fill(255)
    expect(toBase64(bytes)).toBe('/'.repeat(Math.floor((200_000 * 4) / 3)) + '8=')
  })
})
