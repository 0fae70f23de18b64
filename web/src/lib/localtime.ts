// <input type="datetime-local"> knows no zones: its text is read and written as wall clock of the chosen zone.

function parts(ms: number, zone: string | undefined): string {
  return new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  }).format(ms).replace(' ', 'T')
}

/** 2026-11-23T08:15:00 */
export function localInput(ms: number, zone: string | undefined): string {
  return parts(ms, zone)
}

/** ms since the epoch; NaN for what is no time. In the hour that a clock change skips, the later reading. */
export function parseLocal(text: string, zone: string | undefined): number {
  const wall = Date.parse(text + 'Z')
  if (!Number.isFinite(wall)) return NaN
  let ms = wall
  for (let i = 0; i < 2; i++) ms = wall - (Date.parse(parts(ms, zone) + 'Z') - Math.floor(ms / 1000) * 1000)
  return ms
}
