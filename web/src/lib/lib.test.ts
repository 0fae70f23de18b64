import { describe, expect, it } from 'vitest'
import { decode, hexLines, prettyJSON, SHOWN } from './body'
import { csvCell, toCSV, toJSONLines } from './export'
import { compareValues, formats, toBig, UNKNOWN } from './format'
import { localInput, parseLocal } from './localtime'
import { arrange, formatSort, nextSort, parseSort } from './table'
import { parseSearch, stringifySearch } from './url'

const f = formats({ lang: 'en', zone: 'UTC' })

describe('formats', () => {
  it('keeps every digit of an int64', () => {
    expect(f.int('9223372036854775807')).toBe('9,223,372,036,854,775,807')
    expect(toBig('9007199254740993')).toBe(9007199254740993n)
  })
  it('shows what is unknown as unknown, and 0 as 0', () => {
    for (const v of [null, undefined, '', 'x', '1.5']) expect(f.int(v)).toBe(UNKNOWN)
    expect(f.int(0)).toBe('0')
    expect(f.rate(undefined)).toBe(UNKNOWN)
    expect(f.time(0)).toBe(UNKNOWN)
  })
  it('formats bytes, spans and rates', () => {
    expect([0, 1023, 1024, 1536, 5 << 20].map((v) => f.bytes(v))).toEqual(['0 B', '1023 B', '1 KiB', '1.5 KiB', '5 MiB'])
    expect(f.bytes('1099511627776')).toBe('1 TiB')
    expect([5, 12_000, 200_000, 3_600_000, 90_000_000].map((v) => f.span(v))).toEqual(['5 ms', '12 s', '3 min 20 s', '1 h', '1 d 1 h'])
    expect([0, 0.04, 12.34, 999, 43_681].map((v) => f.rate(v))).toEqual(['0', '0', '12.3', '999', '43.7K'])
  })
  it('shows times in the chosen zone with milliseconds', () => {
    expect(f.time(1_700_000_000_123)).toBe('2023-11-14 22:13:20.123')
    expect(formats({ lang: 'zh-CN', zone: 'Asia/Shanghai' }).time(1_700_000_000_123)).toBe('2023-11-15 06:13:20.123')
    expect(f.ago(1_000_000, 1_000_000 + 5 * 60_000)).toBe('5 min. ago')
  })
})

describe('local times', () => {
  it('are read and written in the chosen zone', () => {
    const ms = Date.UTC(2026, 10, 23, 0, 15, 7)
    expect(localInput(ms, 'Asia/Shanghai')).toBe('2026-11-23T08:15:07')
    for (const zone of ['UTC', 'Asia/Shanghai', 'America/New_York', 'Asia/Kolkata']) expect(parseLocal(localInput(ms, zone), zone)).toBe(ms)
    expect(parseLocal('2026-11-23T08:15', 'Asia/Shanghai')).toBe(Date.UTC(2026, 10, 23, 0, 15))
    expect(parseLocal('', 'UTC')).toBeNaN()
  })
  it('survive the ends of summer time', () => {
    const zone = 'America/New_York'
    for (const ms of [Date.UTC(2026, 2, 8, 6, 59), Date.UTC(2026, 2, 8, 7, 1), Date.UTC(2026, 10, 1, 8, 0)]) expect(parseLocal(localInput(ms, zone), zone)).toBe(ms)
  })
})

describe('tables', () => {
  const columns = [
    { id: 'name', value: (r: { name: string; lag: string | null }) => r.name },
    { id: 'lag', value: (r: { name: string; lag: string | null }) => toBig(r.lag), num: true },
  ]
  const rows = [
    { name: 'q10', lag: '9007199254740993' },
    { name: 'q2', lag: '9007199254740992' },
    { name: 'Q1', lag: null },
  ]
  const names = (q: string, sort: string) => arrange(rows, columns, q, parseSort(sort)).map((r) => r.name)
  it('sorts names as people do and numbers exactly', () => {
    expect(names('', 'name')).toEqual(['Q1', 'q2', 'q10'])
    expect(names('', 'lag')).toEqual(['q2', 'q10', 'Q1'])
  })
  it('keeps unknown values last both ways', () => {
    expect(names('', '-lag')).toEqual(['q10', 'q2', 'Q1'])
    expect(compareValues(null, 1)).toBe(1)
  })
  it('filters by all words in any column', () => {
    expect(names('q 0993', '')).toEqual(['q10'])
    expect(names('nothing', '')).toEqual([])
  })
  it('cycles: first way, other way, none', () => {
    const one = nextSort(null, 'lag', true)
    expect(formatSort(one)).toBe('-lag')
    const two = nextSort(one, 'lag', true)
    expect(formatSort(two)).toBe('lag')
    expect(nextSort(two, 'lag', true)).toBeNull()
    expect(formatSort(nextSort(one, 'name', false))).toBe('name')
  })
})

describe('query strings', () => {
  it('are plain text both ways', () => {
    const s = { q: 'a b&c=%25', n: '007', z: '主题' }
    expect(parseSearch(stringifySearch(s))).toEqual(s)
    expect(stringifySearch({ a: undefined, b: '' })).toBe('')
  })
})

describe('export', () => {
  it('defuses formulas and quotes', () => {
    expect(csvCell('=cmd()')).toBe("'=cmd()")
    expect(csvCell('@x,y')).toBe('"\'@x,y"')
    expect(csvCell('-5')).toBe('-5')
    expect(csvCell('-5+1')).toBe("'-5+1")
    expect(csvCell('say "hi"\n')).toBe('"say ""hi""\n"')
    expect(csvCell(null)).toBe('')
  })
  it('begins with a byte order mark and keeps int64', () => {
    expect(toCSV(['主题'], [[9007199254740993n]])).toBe('\ufeff主题\r\n9007199254740993\r\n')
    expect(toJSONLines([{ a: 9007199254740993n }])).toBe('{"a":"9007199254740993"}\n')
  })
})

describe('bodies', () => {
  const bytes = (s: string) => new TextEncoder().encode(s)
  it('tells JSON, text and binary apart', () => {
    expect(decode(bytes('{"a":1}')).kind).toBe('json')
    expect(decode(bytes('{not json')).kind).toBe('text')
    expect(decode(bytes('订单')).kind).toBe('text')
    expect(decode(new Uint8Array([0x89, 0x50, 0, 1])).kind).toBe('binary')
    expect(decode(new Uint8Array([0xff, 0xfe])).kind).toBe('binary')
  })
  it('shows 64 KiB and cuts between characters', () => {
    const d = decode(bytes('x' + '订'.repeat(40_000)))
    expect(d.kind).toBe('text')
    expect(d.kind === 'text' && d.text.endsWith('订') && bytes(d.text).length <= SHOWN).toBe(true)
  })
  it('indents JSON without touching its numbers', () => {
    expect(prettyJSON('{"id":9007199254740993,"a":[],"b":{"c":[1,"x, {"]}}')).toBe('{\n  "id": 9007199254740993,\n  "a": [],\n  "b": {\n    "c": [\n      1,\n      "x, {"\n    ]\n  }\n}')
    expect(prettyJSON('{')).toBeNull()
  })
  it('draws hex with offsets', () => {
    expect(hexLines(bytes('0123456789abcdefX'))).toBe('00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n00000010  58                                                X')
  })
})
