// What pages look like, over a made-up cluster (scripts/mock.mjs) whose clock stands still: their layout is compared with
// layout.json. Fonts differ between machines, so it is not pixels: which parts there are, in which order, where the grid
// puts them, their colours, and that nothing overlaps or is cut off. `npm run layout` writes the file anew, `npm run
// pictures` the pictures of docs/images.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch, open, skipBrowser, sideways } from './browser.mjs'

const BASELINE = new URL('layout.json', import.meta.url)
const NOW = Date.UTC(2026, 10, 23, 9, 30)
const c = '/c/orders-prod'
const PAGES = {
  overview: c,
  topics: `${c}/topics`,
  topic: `${c}/topics/order_created`,
  messages: `${c}/topics/order_created/messages`,
  message: `${c}/messages/0A00000100002A9F0000000000001000`,
  groups: `${c}/groups`,
  group: `${c}/groups/order-fulfilment`,
  reset: `${c}/groups/order-fulfilment/reset`,
  brokers: `${c}/brokers`,
  config: `${c}/brokers/broker-a/0?tab=config`,
  acl: `${c}/acl`,
  alerts: '/alerts',
}
const VIEWS = [
  { name: 'wide', lang: 'en', theme: 'light', width: 1280, height: 800, pages: Object.keys(PAGES) },
  { name: 'narrow', lang: 'zh-CN', theme: 'dark', width: 390, height: 844, pages: ['overview', 'topics', 'message', 'reset'] },
]
const IMAGES = new URL('../../docs/images/', import.meta.url)
/** The pictures of the documentation. */
const PICTURES = ['overview-wide', 'topics-wide', 'message-wide', 'reset-wide', 'overview-narrow']

let mock, browser, base
before(async () => {
  if (skipBrowser) return
  mock = spawn(process.execPath, [fileURLToPath(new URL('../scripts/mock.mjs', import.meta.url)), '0', '34', String(NOW)], { stdio: ['ignore', 'pipe', 'inherit'] })
  base = await new Promise((done, fail) => {
    mock.stdout.once('data', (d) => done(String(d).trim()))
    mock.once('exit', (code) => fail(new Error(`the made-up cluster ended with ${code}`)))
  })
  browser = await launch()
})
after(async () => {
  await browser?.close()
  mock?.kill()
})

/** Runs in the page: its parts with their place, and what is wrong with them. */
function measure() {
  const visible = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden'
  const all = (css) => [...document.querySelectorAll(css)].filter(visible)
  const box = (e) => e.getBoundingClientRect()
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true })
  /** A colour as bytes, in whatever way the browser writes it. */
  const bytes = (css) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = css
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const said = (e) => (e?.textContent ?? '').trim().replace(/\d[\d.,:]*/g, '#').slice(0, 40)
  const parts = []
  for (const [kind, css] of [['bar', 'body aside'], ['top', '#main, header.sticky'], ['title', 'h1'], ['panel', '.panel'], ['table', 'main table']])
    for (const e of all(css)) parts.push({ kind, e })
  const panels = all('main .panel').filter((p) => !p.parentElement.closest('.panel'))
  const problems = []
  for (let i = 0; i < panels.length; i++)
    for (let j = i + 1; j < panels.length; j++) {
      const [a, b] = [box(panels[i]), box(panels[j])]
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) problems.push(`"${said(panels[i])}" and "${said(panels[j])}" overlap`)
    }
  for (const e of all('main button, main h1, main h2, main th')) if (e.scrollWidth > e.clientWidth + 2 && getComputedStyle(e).overflow !== 'visible' && !/ellipsis/.test(getComputedStyle(e).textOverflow)) problems.push(`"${said(e)}" is cut off`)
  return {
    parts: parts.map(({ kind, e }) => ({
      kind,
      text: kind === 'panel' ? said(e.querySelector('h2')) : kind === 'title' ? said(e) : kind === 'table' ? [...e.querySelectorAll('thead th')].map(said).join(' | ') : '',
      x: Math.round(box(e).left),
      // How wide a table or a title is, is up to the fonts.
      ...(kind !== 'table' && kind !== 'title' && { width: Math.round(box(e).width) }),
      ink: bytes(getComputedStyle(e).color),
      ground: bytes(getComputedStyle(e).backgroundColor),
    })),
    problems,
  }
}

/** Where two layouts differ, "" for nowhere. */
function difference(got, want) {
  if (!want) return 'it is not in layout.json'
  const names = (list) => list.map((p) => `${p.kind} "${p.text}"`).join(', ')
  if (names(got) !== names(want)) return `it has ${names(got)}; it had ${names(want)}`
  const near = (a, b, by) => a === b || Math.abs(a - b) <= by
  for (const [i, p] of got.entries()) {
    const w = want[i]
    if (!near(p.x, w.x, 20) || !near(p.width, w.width, 20)) return `${p.kind} "${p.text}" is at ${p.x}, ${p.width} px wide; it was at ${w.x}, ${w.width} px wide` // 20: a scroll bar
    for (const c of ['ink', 'ground']) if (!p[c].every((v, k) => near(v, w[c][k], 6))) return `the ${c} of ${p.kind} "${p.text}" is ${p[c]}; it was ${w[c]}`
  }
  return ''
}

const baseline = process.env.UPDATE_LAYOUT ? {} : JSON.parse(readFileSync(BASELINE, 'utf8'))
let compared = 0
for (const view of VIEWS) {
  test(`layout of the main pages, ${view.name}`, { skip: skipBrowser, timeout: 600_000 }, async () => {
    const { page, problems, close } = await open(browser, view)
    await page.clock.setFixedTime(NOW)
    for (const name of view.pages) {
      const key = `${name} ${view.name}`
      await page.goto(base + PAGES[name], process.env.UPDATE_LAYOUT || process.env.PICTURES ? { waitUntil: 'networkidle' } : {})
      await page.getByRole('heading', { level: 1 }).waitFor()
      // What is shown last may take a while on a busy machine; the layout must become that of the file.
      let got, differs
      for (const end = Date.now() + 60_000; ; await page.waitForTimeout(100)) {
        await page.waitForFunction(() => !document.querySelector('.skeleton'))
        got = await page.evaluate(measure)
        differs = process.env.UPDATE_LAYOUT ? '' : difference(got.parts, baseline[key])
        if (!differs || Date.now() > end) break
      }
      assert.equal(differs, '', key)
      assert.deepEqual(got.problems, [], key)
      assert.equal(await sideways(page), 0, `${key} scrolls sideways`)
      if (process.env.UPDATE_LAYOUT) baseline[key] = got.parts
      const picture = `${name}-${view.name}`
      if (process.env.PICTURES && PICTURES.includes(picture)) await page.screenshot({ path: fileURLToPath(new URL(`${picture}.png`, IMAGES)), animations: 'disabled' })
      compared++
    }
    assert.deepEqual(problems, [])
    await close()
  })
}

test('every page in every view was compared', { skip: skipBrowser }, () => {
  assert.equal(compared, VIEWS.reduce((n, v) => n + v.pages.length, 0))
  if (process.env.UPDATE_LAYOUT) {
    const lines = Object.entries(baseline).map(([key, parts]) => `${JSON.stringify(key)}: [\n${parts.map((p) => '  ' + JSON.stringify(p)).join(',\n')}\n]`)
    writeFileSync(BASELINE, `{\n${lines.join(',\n')}\n}\n`)
  }
  assert.equal(Object.keys(baseline).length, compared)
})

test('the pictures of the documentation are there, in the size of their view', () => {
  for (const name of PICTURES) {
    const view = VIEWS.find((v) => name.endsWith(v.name))
    const png = readFileSync(new URL(`${name}.png`, IMAGES))
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [view.width, view.height], name)
  }
})
