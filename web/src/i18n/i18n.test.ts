import { describe, expect, it } from 'vitest'
import { lookup, type Catalogue } from '.'
import en from './en'
import zh from './zh-CN'

/** Keys without their plural forms. */
function stems(area: Record<string, string>): string[] {
  return [...new Set(Object.keys(area).map((k) => k.replace(/_(one|other)$/, '')))].sort()
}
const places = (s: string) => [...new Set(s.match(/\{\w+\}/g) ?? [])].sort()

describe('catalogues', () => {
  it('have the same areas', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort())
  })
  for (const area of Object.keys(en) as (keyof typeof en)[]) {
    it(`${area}: same keys, same placeholders, nothing empty`, () => {
      const a = en[area] as Record<string, string>
      const b = zh[area] as Record<string, string>
      expect(stems(b)).toEqual(stems(a))
      for (const [k, v] of Object.entries(b)) {
        expect(v.trim(), k).not.toBe('')
        expect(a[k]?.trim(), k).not.toBe('')
        expect(places(v), k).toEqual(places(a[k] ?? ''))
      }
      for (const k of Object.keys(a).filter((x) => x.endsWith('_one'))) {
        expect(a, k).toHaveProperty(k.replace(/_one$/, '_other'))
        expect(b, k).toHaveProperty(k.replace(/_one$/, '_other'))
      }
    })
  }
})

describe('lookup', () => {
  const cat = { a: { plain: 'Hello {who}', n_one: '{count} thing', n_other: '{count} things' } } as unknown as Catalogue
  it('fills places and picks the plural of the language', () => {
    expect(lookup(cat, 'en', 'a.plain', { who: '{x}' })).toBe('Hello {x}')
    expect(lookup(cat, 'en', 'a.n', { count: 1 })).toBe('1 thing')
    expect(lookup(cat, 'en', 'a.n', { count: 0 })).toBe('0 things')
    expect(lookup(cat, 'zh-CN', 'a.n', { count: 1 })).toBe('1 things')
    expect(lookup(cat, 'en', 'a.none')).toBeUndefined()
  })
})
