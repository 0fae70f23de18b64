import { afterEach, describe, expect, it, vi } from 'vitest'
import { apiURL, call, setCSRF, whenSessionEnds } from './client'
import { Problem } from './problem'

const json = (body: unknown, status = 200, type = 'application/json') => new Response(JSON.stringify(body), { status, headers: { 'content-type': type } })
afterEach(() => {
  vi.stubGlobal('fetch', undefined)
  setCSRF(undefined)
})

describe('apiURL', () => {
  it('encodes each value as one segment', () => {
    expect(apiURL('/clusters/{cluster}/topics/{topic}', { cluster: 'a b', topic: '%RETRY%g/1#x' })).toBe('/api/v1/clusters/a%20b/topics/%25RETRY%25g%2F1%23x')
  })
  it('repeats lists and leaves out what is absent', () => {
    expect(apiURL('/x', {}, { match: ['a=1', 'b=2'], q: '', n: undefined, all: true })).toBe('/api/v1/x?match=a%3D1&match=b%3D2&all=true')
  })
  it('refuses a path whose values are missing', () => {
    expect(() => apiURL('/clusters/{cluster}')).toThrow('cluster')
  })
})

describe('call', () => {
  it('sends the CSRF token with changes only', async () => {
    const fetch = vi.fn(() => Promise.resolve(json({ items: [] })))
    vi.stubGlobal('fetch', fetch)
    setCSRF('tok')
    await call('GET', '/clusters')
    await call('POST', '/clusters/{cluster}/topics', { params: { cluster: 'c' }, body: { name: 't' }, idempotencyKey: 'k' })
    const headers = (i: number) => (fetch.mock.calls[i] as unknown as [string, { headers: Record<string, string> }])[1].headers
    expect(headers(0)).not.toHaveProperty('X-CSRF-Token')
    expect(headers(1)).toMatchObject({ 'X-CSRF-Token': 'tok', 'Idempotency-Key': 'k', 'Content-Type': 'application/json' })
  })
  it('throws the problem document of the server', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(json({ code: 'topicExists', title: 'Conflict', fields: [{ name: 'name', code: 'exists' }] }, 409, 'application/problem+json')))
    const p = (await call('GET', '/clusters').catch((e: unknown) => e)) as Problem
    expect(p).toBeInstanceOf(Problem)
    expect([p.status, p.code, p.body.fields?.[0]?.name]).toEqual([409, 'topicExists', 'name'])
  })
  it('makes a problem of an answer that is none, and of a lost connection', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('<html>', { status: 502, headers: { 'content-type': 'text/html' } })))
    expect(await call('GET', '/clusters').catch((e: Problem) => e.code)).toBe('http_502')
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')))
    expect(await call('GET', '/clusters').catch((e: Problem) => e.code)).toBe('unreachable')
  })
  it('says when the session has ended, but not when nobody had signed in', async () => {
    const ended = vi.fn()
    whenSessionEnds(ended)
    vi.stubGlobal('fetch', () => Promise.resolve(json({ code: 'unauthenticated', title: 'x' }, 401)))
    await call('GET', '/session').catch(() => {})
    expect(ended).not.toHaveBeenCalled()
    await call('GET', '/clusters').catch(() => {})
    expect(ended).toHaveBeenCalledOnce()
  })
})
