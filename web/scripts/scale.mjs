// How quick the console is with many topics and groups, over the real binary: node scripts/scale.mjs [topics and groups].
// Each tenth group has a position in a topic. Times are in ms, from what a browser asks for until it is drawn; memory is the
// process's resident set in MB. It is a measurement, not a test: compare runs of one machine with nothing else to do.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { launch, open, run, serve, skip } from '../e2e/browser.mjs'

if (skip) {
  process.stderr.write(`${skip}\n`)
  process.exit(1)
}
const count = Number(process.argv[2] ?? 5000)
const say = (what, value) => process.stdout.write(`${what.padEnd(44)} ${value}\n`)
const server = await serve('demo', '--count', '100', '--dashboard', '127.0.0.1:0')
let browser
try {
  const base = (await server.said(/dashboard\s+(http:\/\/[\d.:]+)/))[1]
  const names = (await server.said(/name server\s+([\d.:]+)/))[1]
  const cluster = base + '/api/v1/clusters/DefaultCluster'
  const { csrfToken } = await (await fetch(base + '/api/v1/session')).json()
  const call = async (method, path, body) => {
    const r = await fetch(cluster + path, { method, headers: { 'content-type': 'application/json', 'x-csrf-token': csrfToken }, body: JSON.stringify(body) })
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${await r.text()}`)
    return r.json()
  }
  const resident = () => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024)
  /** Makes all of a kind with one request. */
  const make = (command, item) => {
    const file = join(server.home, command)
    writeFileSync(file, JSON.stringify(Array.from({ length: count }, (_, i) => item(i))))
    run('admin', command, '-n', names, '-c', 'DefaultCluster', '-f', file, '--timeout', '60s')
  }
  const took = async (f) => {
    const began = performance.now()
    await f()
    return Math.round(performance.now() - began)
  }
  say('topics and groups', count)
  say('resident memory at the start', resident())
  say('making the topics', await took(() => make('updateTopicList', (n) => ({ topicName: `scale-${n}`, readQueueNums: 4, writeQueueNums: 4, perm: 6 }))))
  say('making the groups', await took(() => make('updateSubGroupList', (n) => ({ groupName: `group-${n}`, consumeEnable: true }))))
  for (let n = 0; n < count; n += 10) await call('PATCH', `/groups/group-${n}/offsets`, { topic: `scale-${n}`, to: 'latest' })
  say('resident memory with them', resident())

  const best = async (path) => {
    const times = []
    for (let i = 0; i < 5; i++) {
      times.push(await took(async () => {
        for (let cursor = ''; cursor !== undefined; ) cursor = (await call('GET', `${path}?limit=1000${cursor && '&cursor=' + cursor}`)).nextCursor
      }))
      await new Promise((done) => setTimeout(done, 2500)) // answers of brokers are used for two seconds
    }
    return times.sort((a, b) => a - b)[2]
  }
  for (const path of ['/topics', '/groups', '/clients']) say(`API, all pages of ${path}, median of 5`, await best(path))

  browser = await launch()
  const pages = { 'first page': ['/', 'h1'], topics: ['/c/DefaultCluster/topics', 'tbody tr a'], groups: ['/c/DefaultCluster/groups', 'tbody tr a'], overview: ['/c/DefaultCluster', 'h1'] }
  for (const [name, [path, css]] of Object.entries(pages)) {
    const times = []
    const paints = []
    for (let i = 0; i < 3; i++) {
      const { page, close } = await open(browser)
      times.push(await took(async () => {
        await page.goto(base + path, { waitUntil: 'commit' })
        await page.locator(css).first().waitFor()
      }))
      paints.push(Math.round(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN)))
      await close()
    }
    const median = (list) => list.sort((a, b) => a - b)[1]
    say(`browser, ${name}: first paint, drawn`, `${median(paints)} ${median(times)}`)
  }
  say('resident memory after the console was used', resident())
} finally {
  await browser?.close()
  await server.stop()
}
