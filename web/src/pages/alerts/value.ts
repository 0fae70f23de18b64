import type { S } from '@/api/types'
import type { Formats } from '@/lib/format'

export type Kind = S['AlertRule']['kind']
export const KINDS: Kind[] = ['lag', 'lagTime', 'disk', 'replicaBehind', 'deadLetters', 'noMaster', 'clients', 'certificate']

/** A figure of an alert in the unit of its kind. */
export function alertValue(f: Formats, kind: string, v: number, days: (n: string) => string): string {
  switch (kind) {
    case 'disk':
      return f.percent(v)
    case 'lagTime':
      return f.span(Math.round(v))
    case 'replicaBehind':
      return f.bytes(v)
    case 'certificate':
      return days(f.int(Math.round(v)))
    case 'noMaster':
      return '–'
    default:
      return f.int(Math.round(v))
  }
}
