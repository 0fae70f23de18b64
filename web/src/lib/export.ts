// A spreadsheet runs what begins like a formula, and message properties are written by strangers.
const FORMULA = /^[=+\-@\t\r]/

export function csvCell(v: unknown): string {
  if (v === null || v === undefined) return ''
  let s = typeof v === 'object' ? JSON.stringify(v, bigAsString) : String(v)
  if (FORMULA.test(s) && !/^-?\d+(\.\d+)?$/.test(s)) s = "'" + s
  return /[",\n\r]/.test(s) ? '"' + s.replaceAll('"', '""') + '"' : s
}

/** With a byte order mark, so that Excel reads Chinese. */
export function toCSV(header: string[], rows: unknown[][]): string {
  return '\ufeff' + [header, ...rows].map((r) => r.map(csvCell).join(',')).join('\r\n') + '\r\n'
}

/** One object a line. */
export function toJSONLines(rows: unknown[]): string {
  return rows.map((r) => JSON.stringify(r, bigAsString)).join('\n') + '\n'
}

function bigAsString(_: string, v: unknown): unknown {
  return typeof v === 'bigint' ? v.toString() : v
}

export function download(name: string, data: BlobPart, type = 'application/octet-stream') {
  const url = URL.createObjectURL(new Blob([data], { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
