import type { S } from '@/api/types'

/** Messages of a live tail that are kept: more than a person reads, less than a page notices. */
export const KEPT = 1000

export interface TailState {
  /** Newest first. */
  shown: S['Message'][]
  /** While paused: what has come since, newest first. */
  waiting: S['Message'][]
  paused: boolean
  /** Messages that the server left out, being too many, and that this page forgot while paused. */
  dropped: number
  scanned: string
  /** Why it ended. */
  error?: unknown
  /** Brokers that do not answer. */
  problems: S['NodeError'][]
}

export const emptyTail: TailState = { shown: [], waiting: [], paused: false, dropped: 0, scanned: '0', problems: [] }

export type TailEvent =
  | { type: 'messages'; items: S['Message'][] } // in the order of arrival
  | { type: 'gap'; dropped: number }
  | { type: 'progress'; scanned: string }
  | { type: 'pause' }
  | { type: 'resume' }
  | { type: 'clear' }
  | { type: 'begin' } // another question
  | { type: 'problem'; problem: S['NodeError'] }
  | { type: 'error'; error: unknown }

/** One step of a live tail. Paused, messages wait; of those that no longer fit the oldest are counted as dropped. */
export function tail(s: TailState, e: TailEvent): TailState {
  switch (e.type) {
    case 'messages': {
      const fresh = e.items.toReversed()
      if (!s.paused) return { ...s, shown: [...fresh, ...s.shown].slice(0, KEPT) }
      const waiting = [...fresh, ...s.waiting]
      return { ...s, waiting: waiting.slice(0, KEPT), dropped: s.dropped + Math.max(0, waiting.length - KEPT) }
    }
    case 'gap':
      return { ...s, dropped: s.dropped + e.dropped }
    case 'progress':
      return { ...s, scanned: e.scanned }
    case 'pause':
      return { ...s, paused: true }
    case 'resume':
      return { ...s, paused: false, shown: [...s.waiting, ...s.shown].slice(0, KEPT), waiting: [] }
    case 'clear':
      return { ...s, shown: [], waiting: [], dropped: 0 }
    case 'begin':
      return { ...emptyTail, paused: s.paused }
    case 'problem':
      return s.problems.some((p) => p.node === e.problem.node && p.code === e.problem.code) ? s : { ...s, problems: [...s.problems, e.problem] }
    case 'error':
      return { ...s, error: e.error }
  }
}
