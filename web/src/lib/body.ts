/** What of a body is shown; the rest is for the download. */
export const SHOWN = 64 * 1024

export type Decoded = { kind: 'json'; text: string } | { kind: 'text'; text: string } | { kind: 'binary' }

/** Text that a person can read: no control characters but white space, no replacement characters. */
function readable(s: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffd]/.test(s)
}

/** What a body seems to be. JSON is only reformatted when it was small enough to be whole. */
export function decode(bytes: Uint8Array): Decoded {
  const cut = bytes.length > SHOWN
  let end = Math.min(bytes.length, SHOWN)
  // A cut in the middle of a character would look binary: go back to the beginning of the character.
  if (cut) while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  const text = new TextDecoder('utf-8').decode(bytes.subarray(0, end))
  if (!readable(text)) return { kind: 'binary' }
  if (!cut && /^\s*[[{]/.test(text)) {
    const pretty = prettyJSON(text)
    if (pretty !== null) return { kind: 'json', text: pretty }
  }
  return { kind: 'text', text }
}

/** Indents JSON without reading its numbers: JSON.parse would round 64-bit ids. Null when it is not JSON. */
export function prettyJSON(text: string): string | null {
  try {
    JSON.parse(text)
  } catch {
    return null
  }
  let out = ''
  let depth = 0
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g) ?? []
  const line = () => '\n' + '  '.repeat(depth)
  tokens.forEach((tok, i) => {
    const next = tokens[i + 1]
    const last = tokens[i - 1]
    if (tok === '{' || tok === '[') {
      depth++
      out += tok
      if (next !== '}' && next !== ']') out += line()
    } else if (tok === '}' || tok === ']') {
      depth--
      out += last === '{' || last === '[' ? tok : line() + tok
    } else if (tok === ',') out += ',' + line()
    else if (tok === ':') out += ': '
    else out += tok
  })
  return out
}

export function fromBase64(s: string): Uint8Array {
  const bin = atob(s)
  return Uint8Array.from(bin, (c) => c.charCodeAt(0))
}

/** In steps: a call takes only so many arguments. */
export function toBase64(bytes: Uint8Array): string {
  let bin = ''
  for (let i = 0; i < bytes.length; i += 8192) bin += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(bin)
}

/** Offset, 16 bytes as hex, and as ASCII. */
export function hexLines(bytes: Uint8Array, most = SHOWN): string {
  const lines: string[] = []
  const end = Math.min(bytes.length, most)
  for (let i = 0; i < end; i += 16) {
    const part = bytes.subarray(i, Math.min(i + 16, end))
    let hex = ''
    let ascii = ''
    for (let j = 0; j < 16; j++) {
      const b = part[j]
      hex += (b === undefined ? '  ' : b.toString(16).padStart(2, '0')) + (j === 7 ? '  ' : ' ')
      if (b !== undefined) ascii += b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.'
    }
    lines.push(`${i.toString(16).padStart(8, '0')}  ${hex} ${ascii}`)
  }
  return lines.join('\n')
}
