// Fails when the built console is larger than its budget. First load is what index.html pulls in before any page code:
// its scripts and styles, their static imports, and the larger of the two catalogues of messages
// that every page may use (messages-*; text-* come with pages).
// node scripts/budget.mjs dist
import { readFileSync, readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const FIRST = 200_000
const TOTAL = 600_000
const dist = new URL(`../${process.argv[2]}/`, import.meta.url)
const files = readdirSync(new URL('assets/', dist)).sort()
const size = new Map(files.map((f) => [f, gzipSync(readFileSync(new URL('assets/' + f, dist)), { level: 6 }).length]))

const first = new Set()
function add(text) {
  for (const f of files) if (!first.has(f) && text.includes(f)) first.add(f)
}
add(readFileSync(new URL('index.html', dist), 'utf8'))
for (const f of first) {
  if (!f.endsWith('.js')) continue
  const code = readFileSync(new URL('assets/' + f, dist), 'utf8')
  // Static imports only: `from"./x.js"` and `import"./x.js"`, never `import("./x.js")`.
  for (const m of code.matchAll(/(?:from|import)\s*["']\.\/([^"']+)["']/g)) if (size.has(m[1])) first.add(m[1])
}
const catalogues = files.filter((f) => f.startsWith('messages-'))
if (catalogues.length > 0) first.add(catalogues.reduce((a, b) => (size.get(a) > size.get(b) ? a : b)))

const sum = (names) => [...names].reduce((n, f) => n + size.get(f), 0)
const say = (s) => process.stdout.write(s + '\n')
const kb = (n) => (n / 1000).toFixed(1) + ' kB'
say(`first load ${kb(sum(first))} gzip of ${kb(FIRST)} (${[...first].map((f) => `${f} ${kb(size.get(f))}`).join(', ')})`)
say(`total ${kb(sum(files))} gzip of ${kb(TOTAL)}, ${files.length} files`)
if (sum(first) > FIRST || sum(files) > TOTAL) {
  say('over budget')
  process.exit(1)
}
