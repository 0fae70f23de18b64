// The first administrator, signing in and out, a session that ends while a form is open, what a viewer is not offered.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, open, serve, skip, violations } from './browser.mjs'

let server, browser, base, token
before(async () => {
  if (skip) return
  server = await serve('demo', '--count', '100', '--dashboard', '127.0.0.1:0', '--dashboard-auth', 'file')
  base = (await server.said(/dashboard\s+(http:\/\/[\d.:]+)/))[1]
  token = (await server.said(/setup token\W+([\w-]{16,})/))[1]
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

test('set up, sign out, sign in, and go on with a form after the session ended', { skip, timeout: 600_000 }, async () => {
  const { page, problems, close } = await open(browser)
  await page.goto(base + '/')
  await page.getByRole('heading', { name: 'Set up the console' }).waitFor()
  assert.deepEqual(await violations(page), [])
  await page.getByLabel('Setup token').fill('wrong')
  await page.getByLabel('Password', { exact: true }).fill('a long password')
  await page.getByLabel('Password again').fill('another password')
  const finish = page.getByRole('button', { name: 'Create and sign in' })
  await finish.click()
  await page.getByText('The two passwords differ').waitFor()
  await page.getByLabel('Password again').fill('a long password')
  await finish.click()
  await page.getByText(/setup token is wrong/).waitFor()
  await page.getByLabel('Setup token').fill(token)
  await finish.click()
  await page.getByRole('heading', { name: 'DefaultCluster' }).waitFor()

  await page.getByRole('button', { name: 'Signed in as admin' }).click()
  await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  assert.deepEqual(await violations(page), [])

  // A link to a page leads there after signing in.
  await page.goto(base + '/c/DefaultCluster/topics')
  await page.getByLabel('User name').fill('admin')
  await page.getByLabel('Password').fill('not it')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Password').fill('a long password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Topics' }).waitFor()

  // The session ends elsewhere while a form is open: the password is asked for above it, and the form is still there.
  await page.getByRole('button', { name: 'Create topic' }).click()
  await page.getByLabel('Name', { exact: true }).fill('kept_in_the_form')
  await page.context().clearCookies()
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  const again = page.getByRole('dialog', { name: 'Your session has ended' })
  await again.getByLabel('Password').fill('a long password')
  await again.getByRole('button', { name: 'Sign in' }).click()
  await again.waitFor({ state: 'detached' })
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'kept_in_the_form')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByRole('link', { name: 'kept_in_the_form' }).waitFor()
  assert.deepEqual(problems, [])
  await close()
})
