import { compareValues } from './format'

export type CellValue = string | number | bigint | boolean | null | undefined

/** The part of a column that sorting, filtering and export need. */
export interface ColumnData<T> {
  id: string
  value: (row: T) => CellValue
  num?: boolean
}

export interface Sort {
  id: string
  desc: boolean
}

/** '-lag' is by lag, the largest first. */
export function parseSort(s: string): Sort | null {
  if (!s || s === '-') return null
  return s.startsWith('-') ? { id: s.slice(1), desc: true } : { id: s, desc: false }
}

export function formatSort(s: Sort | null): string {
  return s ? (s.desc ? '-' : '') + s.id : ''
}

/** What a click on a header does: numbers begin with the largest, names with A; then the other way; then no order. */
export function nextSort(now: Sort | null, id: string, num: boolean): Sort | null {
  if (now?.id !== id) return { id, desc: num }
  return now.desc === num ? { id, desc: !num } : null
}

/** Rows that contain every word of q in some column, in the order of sort. Unknown values come last both ways. */
export function arrange<T>(rows: readonly T[], columns: readonly ColumnData<T>[], q: string, sort: Sort | null): T[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean)
  const kept = words.length === 0 ? [...rows] : rows.filter((row) => {
    const texts = columns.map((c) => String(c.value(row) ?? '').toLowerCase())
    return words.every((w) => texts.some((t) => t.includes(w)))
  })
  const column = sort && columns.find((c) => c.id === sort.id)
  if (!column) return kept
  const sign = sort.desc ? -1 : 1
  const keyed = kept.map((row, i) => ({ row, i, v: column.value(row) }))
  keyed.sort((a, b) => {
    const na = a.v === null || a.v === undefined || a.v === ''
    const nb = b.v === null || b.v === undefined || b.v === ''
    if (na || nb) return na && nb ? a.i - b.i : na ? 1 : -1
    return compareValues(a.v, b.v) * sign || a.i - b.i
  })
  return keyed.map((k) => k.row)
}
