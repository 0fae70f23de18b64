// Fails when two builds differ: node scripts/same.mjs build dist
import { readFileSync, readdirSync, rmSync } from 'node:fs'

const [fresh, committed] = process.argv.slice(2).map((d) => new URL(`../${d}/`, import.meta.url))
const names = (dir) => readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).map((e) => (e.parentPath + '/' + e.name).slice(dir.pathname.length - 1).replace(/^\/+/, ''))
const a = names(fresh)
const b = names(committed)
const differing = [...new Set([...a, ...b])].filter((n) => !a.includes(n) || !b.includes(n) || !readFileSync(new URL(n, fresh)).equals(readFileSync(new URL(n, committed))))
rmSync(fresh, { recursive: true })
if (differing.length > 0) {
  process.stderr.write(`dist is not what the source builds to: run make web and commit. Differing: ${differing.join(', ')}\n`)
  process.exit(1)
}
process.stdout.write(`dist is what the source builds to, ${b.length} files\n`)
