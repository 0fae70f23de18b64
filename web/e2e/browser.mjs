// What all journeys share: a server of the real binary, a browser, and pages that may not fail silently.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium'
/** Why tests that need a browser and nothing else do not run. */
export const skipBrowser = existsSync(chromiumPath) ? false : `no ${chromiumPath}`
export const skip = skipBrowser ? skipBrowser : !process.env.COMETMQ_BIN ? 'COMETMQ_BIN names no binary' : false
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Starts cometmq with the arguments and waits for the dashboard's address in its output. stop ends it. */
export async function serve(...args) {
  const home = mkdtempSync(join(tmpdir(), 'cometmq-e2e-'))
  const child = spawn(process.env.COMETMQ_BIN, args, { env: { ...process.env, HOME: home }, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  const waiters = []
  const feed = (d) => {
    log += d
    for (const w of waiters) w()
  }
  child.stdout.on('data', feed)
  child.stderr.on('data', feed)
  const ended = new Promise((done) => child.on('exit', done))
  /** Resolves with the match once the output has it. */
  const said = (re) =>
    new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`no ${re} in the output:\n${log}`)), 120_000)
      const look = () => {
        const m = re.exec(log)
        if (m) {
          clearTimeout(late)
          done(m)
        }
      }
      waiters.push(look)
      look()
    })
  const stop = async () => {
    child.kill('SIGTERM')
    const hard = setTimeout(() => child.kill('SIGKILL'), 60_000)
    await ended
    clearTimeout(hard)
    rmSync(home, { recursive: true, force: true })
  }
  return { said, stop, home, pid: child.pid, log: () => log }
}

/** Runs a command of the binary to its end and answers what it printed. */
export function run(...args) {
  return execFileSync(process.env.COMETMQ_BIN, args, { encoding: 'utf8', timeout: 120_000 })
}

export function launch() {
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--force-color-profile=srgb', '--disable-lcd-text', '--font-render-hinting=none'] })
}

/** A page of a fresh context. problems gathers what went wrong without anybody looking: thrown errors, messages in the
 *  console but those of refused requests, answers of 500 and above but 501 (not offered here). */
export async function open(browser, { lang = 'en', theme = 'light', width = 1280, height = 800 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: lang === 'en' ? 'en-US' : lang, timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce' })
  await context.addInitScript((p) => localStorage.setItem('cometmq.prefs', JSON.stringify(p)), { lang, theme })
  const page = await context.newPage()
  page.setDefaultTimeout(90_000)
  const problems = []
  page.on('pageerror', (e) => problems.push(`threw: ${e.message}`))
  page.on('console', (m) => m.type() === 'error' && !m.text().startsWith('Failed to load resource') && problems.push(`console: ${m.text()}`))
  page.on('response', (r) => r.status() >= 500 && r.status() !== 501 && problems.push(`${r.status()} of ${r.url()}`))
  return { page, problems, close: () => context.close() }
}

/** What axe finds against WCAG 2.2 A and AA, one line each. */
export async function violations(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }))
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.failureSummary?.split('\n')[1]?.trim() ?? ''}`).slice(0, 3).join(' | ')}`)
}

/** How many pixels the page scrolls sideways. */
export function sideways(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}
