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
const options = { skip, timeout: 180_000 }

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

const PAGES = ['/c/DefaultCluster', '/c/DefaultCluster/topics', '/c/DefaultCluster/groups', '/c/DefaultCluster/groups/demo_group', '/c/DefaultCluster/groups/demo_group/reset', '/c/DefaultCluster/brokers', '/c/DefaultCluster/brokers/broker-a/0', '/c/DefaultCluster/nameservers', '/c/DefaultCluster/controllers', '/settings']
for (const [lang, theme, width] of [['en', 'light', 1280], ['zh-CN', 'dark', 390]]) {
  test(`every page in ${lang}, ${theme}, ${width} px: no error, no missing message, nothing against WCAG, no sideways scrolling`, options, async () => {
    const { page, problems, close } = await open(browser, { lang, theme, width, height: width === 390 ? 844 : 800 })
    for (const path of PAGES) {
      await page.goto(base + path)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.locator('.skeleton').first().waitFor({ state: 'detached' })
      const text = await page.locator('body').innerText()
      assert.doesNotMatch(text, /\b(common|shell|nav|topics|groups|brokers|overview|settings|errors)\.[a-z]\w+/, `${path} shows the key of a message`)
      assert.deepEqual(await violations(page), [], path)
      assert.equal(await sideways(page), 0, `${path} scrolls sideways`)
    }
    assert.deepEqual(problems, [])
    await close()
  })
}
