// Pictures of pages: node scripts/shot.mjs <base URL> <out dir> <name>=<path>[,dark|contrast][,zh][,narrow] ...
// It fails when a page logs an error, throws, or scrolls sideways.
import { chromium } from 'playwright-core'
import { mkdirSync } from 'node:fs'

const [base, out, ...pages] = process.argv.slice(2)
mkdirSync(out, { recursive: true })
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--force-color-profile=srgb', '--disable-lcd-text', '--font-render-hinting=none'] })
let bad = 0
for (const spec of pages) {
  const [name, rest] = [spec.slice(0, spec.indexOf('=')), spec.slice(spec.indexOf('=') + 1)]
  const [path, ...flags] = rest.split(',')
  const theme = flags.find((f) => f === 'dark' || f === 'contrast') ?? 'light'
  const context = await browser.newContext({
    viewport: flags.includes('narrow') ? { width: 390, height: 844 } : { width: 1280, height: 800 },
    timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce', locale: flags.includes('zh') ? 'zh-CN' : 'en-US',
  })
  await context.addInitScript((p) => localStorage.setItem('cometmq.prefs', JSON.stringify(p)), { theme, lang: flags.includes('zh') ? 'zh-CN' : 'en' })
  const page = await context.newPage()
  const say = (what) => { bad++; process.stderr.write(`${name}: ${what}\n`) }
  page.on('pageerror', (e) => say(`threw ${e.stack}`))
  page.on('console', (m) => m.type() === 'error' && say(`logged ${m.text()}`))
  await page.goto(base.replace(/\/$/, '') + path, { waitUntil: 'networkidle' })
  await page.locator('h1, [role=alert]').first().waitFor({ timeout: 15000 }).catch(() => say('shows no heading'))
  await page.waitForTimeout(300)
  const click = flags.find((f) => f.startsWith('click:'))?.slice(6)
  if (click) { await page.getByRole('button', { name: click, exact: true }).first().click(); await page.waitForTimeout(400) }
  const press = flags.find((f) => f.startsWith('press:'))?.slice(6)
  if (press) { await page.keyboard.press(press); await page.waitForTimeout(400) }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) say(`scrolls sideways by ${wide} px`)
  await page.screenshot({ path: `${out}/${name}.png`, animations: 'disabled' })
  await context.close()
}
await browser.close()
process.exit(bad ? 1 : 0)
