import { describe, expect, it } from 'vitest'
import en from './en'
import first from './en/first'

// Which messages a page may use is written in routes.tsx; this reads the sources to see that it is what they do use.
const sources = Object.fromEntries(
  Object.entries(import.meta.glob<string>('../**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true })).map(([name, text]) => [name.replace(/^\.\.\//, ''), text]),
)
const areaOf = new RegExp(`['"\`](${Object.keys(en).join('|')})\\.[\\w$]`, 'g')

/** The file that an import means; undefined for packages, and for the catalogues themselves. */
function resolve(from: string, what: string): string | undefined {
  const parts = what.startsWith('@/') ? [] : from.split('/').slice(0, -1)
  if (!/^@\/|^\.\.?\//.test(what)) return undefined
  for (const p of what.replace(/^@\//, '').split('/')) {
    if (p === '..') parts.pop()
    else if (p !== '.') parts.push(p)
  }
  const path = parts.join('/')
  return path.startsWith('i18n') ? undefined : [path, `${path}.tsx`, `${path}.ts`].find((f) => f in sources)
}

/** All files that a file is made of; a page is none of another file's parts. */
function parts(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const m of sources[file]!.matchAll(/^(?:import|export)(?! type)[^'"]*?(?:from )?'([^']+)'|\bimport\('([^']+)'\)/gm)) {
    const next = resolve(file, m[1] ?? m[2]!)
    if (next && !(file === 'routes.tsx' && next.startsWith('pages/'))) parts(next, seen)
  }
  return seen
}
const uses = (file: string) => [...new Set([...parts(file)].flatMap((f) => [...sources[f]!.matchAll(areaOf)].map((m) => m[1]!)))].filter((a) => !(a in first)).sort()

const pages = [...sources['routes.tsx']!.matchAll(/\b(?:page|bare)\('([^']+)', \(\) => import\('\.\/(pages\/\w+)'\)(.*)\),$/gm)]

describe('areas of messages', () => {
  it('finds the pages and what they are made of', () => {
    expect(pages.length).toBeGreaterThan(20)
    expect([...parts('pages/Topic.tsx')]).toEqual(expect.arrayContaining(['pages/topic/TopicDialog.tsx', 'components/DataTable.tsx', 'components/ChartPlot.tsx']))
  })
  it('what every page has is used by the frame only', () => {
    expect(uses('main.tsx')).toEqual([])
  })
  for (const [, path, file, rest] of pages) {
    it(`${path} names the areas that it uses`, () => {
      expect([...rest!.matchAll(/'(\w+)'/g)].map((m) => m[1]).sort()).toEqual(uses(`${file}.tsx`))
    })
  }
})
