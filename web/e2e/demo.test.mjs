// Journeys over `cometmq demo`: open to everybody, real messages of a real client.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, open, serve, sideways, skip, violations } from './browser.mjs'

let server, browser, base
before(async () => {
  if (skip) return
  server = await serve('demo', '--count', '500', '--dashboard', '127.0.0.1:0')
  base = (await server.said(/dashboard\s+(http:\/\/[\d.:]+)/))[1]
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await server?.stop()
})
const options = { skip, timeout: 600_000 }

test('a topic is made, refused with a message at its field, changed and deleted', options, async () => {
  const { page, problems, close } = await open(browser)
  await page.goto(base + '/c/DefaultCluster/topics')
  await page.getByRole('button', { name: 'Create topic' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill('no spaces allowed')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await dialog.getByText('Only letters, digits').waitFor()
  assert.equal(await dialog.getByLabel('Name').getAttribute('aria-invalid'), 'true')
  await dialog.getByLabel('Name').fill('journey_topic')
  await dialog.getByLabel('Read queues').fill('4')
  await dialog.getByLabel('Write queues').fill('4')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await dialog.waitFor({ state: 'detached' })

  // The filter is part of the URL, and the URL brings the view back.
  await page.getByLabel('Filter Topics').fill('journey')
  await page.getByRole('link', { name: 'journey_topic', exact: true }).waitFor()
  await page.waitForURL(/q=journey/)
  await page.reload()
  await page.getByRole('link', { name: 'journey_topic', exact: true }).click()
  await page.getByRole('heading', { name: 'journey_topic' }).waitFor()
  await page.getByText(/\/ 3$/).first().waitFor() // its fourth queue

  await page.getByRole('button', { name: 'Delete' }).click()
  const confirm = page.getByRole('dialog')
  const really = confirm.getByRole('button', { name: 'Delete topic' })
  await confirm.getByText(/This takes \d+ steps|This is one step/).waitFor()
  assert.equal(await really.isDisabled(), true, 'deleting must wait for the typed name')
  await confirm.getByRole('textbox').fill('journey_topic')
  await really.click()
  await page.getByRole('heading', { name: 'Topics', exact: true }).waitFor()
  assert.deepEqual(problems, [])
  await close()
})

test('keyboard: palette, jump, filter, help', options, async () => {
  const { page, problems, close } = await open(browser)
  await page.goto(base + '/c/DefaultCluster')
  await page.getByRole('heading', { name: 'DefaultCluster' }).waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('demo_gr')
  await page.getByRole('option', { name: 'demo_group' }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'demo_group' }).waitFor()
  await page.keyboard.press('g')
  await page.keyboard.press('b')
  await page.getByRole('heading', { name: 'Brokers' }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('nothing like it')
  await page.getByText('Nothing matches the filter').waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  assert.deepEqual(problems, [])
  await close()
})

test('a message is sent, seen by the tail, found by its content and key, and shown with its trace', options, async () => {
  const { page, problems, close } = await open(browser)
  const messages = base + '/c/DefaultCluster/topics/DemoTopic/messages'
  await page.goto(messages + '?follow=1')
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Send message' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Body', { exact: true }).fill('{"note":"<img src=x onerror=alert(1)>","id":9007199254740993}')
  await dialog.getByLabel('Keys').fill('journey-1')
  await dialog.getByRole('button', { name: 'Send message' }).click()
  await dialog.getByText('SEND_OK').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: /9007199254740993/ }).waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('Paused', { exact: true }).waitFor()

  // A predicate is part of the URL; what is wrong with one stands beside it.
  await page.goto(messages + '?regex=([')
  await page.getByText('This is no regular expression.').waitFor()
  await page.goto(messages)
  await page.getByLabel('What to look for').fill('onerror=alert')
  await page.getByRole('button', { name: 'Add this filter' }).click()
  await page.waitForURL(/contains=onerror/)
  await page.getByText('1 row', { exact: true }).waitFor()

  // The index of keys is built a moment after a message is stored.
  const found = page.getByRole('link', { name: /^20\d\d-/ })
  await page.goto(base + '/c/DefaultCluster/messages?key=journey-1&topic=DemoTopic')
  for (let i = 0; i < 20 && !(await found.waitFor({ timeout: 3000 }).then(() => true, () => false)); i++) await page.reload()
  await found.click()
  await page.getByText('<img src=x onerror=alert(1)>').first().waitFor() // text, not an image
  assert.equal(await page.locator('main img').count(), 0)
  await page.getByRole('button', { name: 'Hex', exact: true }).click()
  await page.getByText('00000000  7b 22').waitFor()
  await page.getByRole('heading', { name: 'Who consumed it' }).waitFor()
  await page.getByRole('table', { name: 'Timeline' }).getByText('Success').waitFor()
  assert.deepEqual(await violations(page), [])
  assert.deepEqual(problems, [])
  await close()
})

test('dead letters: one of three cannot be sent again, and the job says which; export; purge', options, async () => {
  const { page, problems, close } = await open(browser)
  const api = base + '/api/v1/clusters/DefaultCluster'
  const session = await (await page.request.get(base + '/api/v1/session')).json()
  const post = async (path, data) => {
    const r = await page.request.post(api + path, { data, headers: { 'X-CSRF-Token': session.csrfToken ?? '' } })
    assert.ok(r.ok(), `${path}: ${r.status()} ${await r.text()}`)
  }
  await post('/topics', { name: '%DLQ%demo_group', readQueues: 1, writeQueues: 1, perm: 6 })
  for (const topic of ['DemoTopic', 'not a topic', 'DemoTopic']) await post('/topics/%25DLQ%25demo_group/messages', { body: `for ${topic}`, properties: { RETRY_TOPIC: topic } })

  await page.goto(base + '/c/DefaultCluster/dlq')
  await page.getByRole('link', { name: 'demo_group' }).click()
  await page.getByRole('heading', { name: 'Dead letters of demo_group' }).waitFor()
  await page.getByText('3 rows', { exact: true }).waitFor()
  await page.getByLabel('Select all').check()
  await page.getByText('3 selected').waitFor()
  await page.getByRole('button', { name: 'Resend selected' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('3 messages').waitFor()
  await dialog.getByRole('button', { name: 'Resend', exact: true }).click()
  const job = page.getByRole('dialog', { name: 'Resend of dead letters' })
  await job.getByText('Done, some failed').waitFor()
  await job.getByText('3 of 3').waitFor()
  assert.equal(await job.getByRole('table', { name: 'What failed, and why' }).locator('tbody tr').count(), 1)
  assert.deepEqual(await violations(page), [])
  await job.getByRole('button', { name: 'Close' }).last().click()

  await page.getByRole('button', { name: 'Export messages' }).click()
  await page.getByRole('menuitem', { name: 'CSV' }).click()
  const download = page.getByRole('link', { name: 'Download the result' })
  await download.waitFor()
  const file = await page.request.get(new URL(await download.getAttribute('href'), base).href)
  assert.match(await file.text(), /for not a topic/)
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()

  await page.getByRole('button', { name: 'Purge' }).click()
  const purge = page.getByRole('dialog')
  await purge.getByRole('textbox').fill('demo_group')
  await purge.getByRole('button', { name: 'Purge' }).click()
  await page.getByRole('heading', { name: 'Dead letters', exact: true }).waitFor()
  await page.getByText('No dead letters').waitFor()
  assert.deepEqual(problems, [])
  await close()
})

test('a key of the configuration is changed after a look at the difference', options, async () => {
  const { page, problems, close } = await open(browser)
  await page.goto(base + '/c/DefaultCluster/brokers/broker-a/0?tab=config&q=fileReservedTime')
  await page.getByRole('button', { name: 'Change fileReservedTime' }).click()
  await page.getByLabel('New value of fileReservedTime').fill('96')
  await page.getByRole('button', { name: 'Review' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('96').waitFor()
  assert.deepEqual(await violations(page), [])
  await dialog.getByRole('button', { name: 'Apply' }).click()
  await dialog.getByText('Taken').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).last().click()
  await page.getByRole('cell', { name: /^96/ }).waitFor()
  assert.deepEqual(problems, [])
  await close()
})

const PAGES = ['/c/DefaultCluster', '/c/DefaultCluster/topics', '/c/DefaultCluster/groups', '/c/DefaultCluster/groups/demo_group', '/c/DefaultCluster/groups/demo_group/reset', '/c/DefaultCluster/brokers', '/c/DefaultCluster/brokers/broker-a/0', '/c/DefaultCluster/nameservers', '/c/DefaultCluster/controllers', '/settings', '/c/DefaultCluster/topics/DemoTopic/messages', '/c/DefaultCluster/topics/DemoTopic/messages?follow=1', '/c/DefaultCluster/messages', '/c/DefaultCluster/dlq', '/c/DefaultCluster/dlq/demo_group', '/c/DefaultCluster/clients', '/c/DefaultCluster/transactions', '/c/DefaultCluster/delayed', '/c/DefaultCluster/trace', '/c/DefaultCluster/acl?tab=check', '/c/DefaultCluster/brokers/broker-a/0?tab=config', '/alerts', '/alerts?tab=rules', '/alerts?tab=webhook', '/audit', '/jobs']
for (const [lang, theme, width] of [['en', 'light', 1280], ['zh-CN', 'dark', 390]]) {
  test(`every page in ${lang}, ${theme}, ${width} px: no error, no missing message, nothing against WCAG, no sideways scrolling`, { ...options, timeout: 900_000 }, async () => {
    const { page, problems, close } = await open(browser, { lang, theme, width, height: width === 390 ? 844 : 800 })
    for (const path of PAGES) {
      await page.goto(base + path)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.locator('.skeleton').first().waitFor({ state: 'detached' })
      const text = await page.locator('body').innerText()
      assert.doesNotMatch(text, /\b(common|shell|nav|topics|groups|brokers|overview|settings|errors|messages|trace|jobs|dlq|clients|acl|alerts|audit|transactions|delayed|config)\.[a-z]\w+/, `${path} shows the key of a message`)
      assert.deepEqual(await violations(page), [], path)
      assert.equal(await sideways(page), 0, `${path} scrolls sideways`)
    }
    assert.deepEqual(problems, [])
    await close()
  })
}
