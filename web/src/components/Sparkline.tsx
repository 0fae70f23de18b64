/** The shape of a series, in the height of a line of text. Gaps stay gaps. */
export function Sparkline({ values, width = 96, height = 22, color = 'var(--c1)', label }: { values: readonly (number | null | undefined)[]; width?: number; height?: number; color?: string; label: string }) {
  const known = values.filter((v): v is number => typeof v === 'number' && Number.isFinite(v))
  if (known.length < 2) return <span className="inline-block text-ink-3" style={{ width }} aria-hidden />
  const max = Math.max(...known, 1e-9)
  const min = Math.min(0, ...known)
  const x = (i: number) => (i / (values.length - 1)) * (width - 2) + 1
  const y = (v: number) => height - 2 - ((v - min) / (max - min || 1)) * (height - 4)
  let line = ''
  let area = ''
  let from = -1
  const close = (to: number) => {
    if (from >= 0) area += `L${x(to).toFixed(1)} ${height - 1}L${x(from).toFixed(1)} ${height - 1}Z`
    from = -1
  }
  values.forEach((v, i) => {
    if (typeof v !== 'number' || !Number.isFinite(v)) return close(i - 1)
    const p = `${x(i).toFixed(1)} ${y(v).toFixed(1)}`
    line += (from < 0 ? 'M' : 'L') + p
    area += from < 0 ? `M${x(i).toFixed(1)} ${height - 1}L${p}` : 'L' + p
    if (from < 0) from = i
  })
  close(values.length - 1)
  return (
    <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`} className="block shrink-0">
      <path d={area} fill={color} opacity="0.14" />
      <path d={line} fill="none" stroke={color} strokeWidth="1.4" strokeLinejoin="round" />
    </svg>
  )
}
