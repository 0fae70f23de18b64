import { expect, it } from 'vitest'
import { nav } from './nav'
import { routes } from './routes'

const items = nav.flatMap((s) => s.items)
interface Node {
  options?: { path?: string }
  children?: unknown
}
const paths = (r: Node): string[] => [r.options?.path ?? '', ...Object.values((r.children ?? {}) as Record<string, Node>).flatMap(paths)]

it('every entry leads to a route', () => {
  const all = paths(routes as Node)
  for (const i of items) expect(all, i.path).toContain(i.path)
})

it('no two entries share a jump', () => {
  expect(new Set(items.map((i) => i.jump)).size).toBe(items.length)
})
