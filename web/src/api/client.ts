import { consoleBase } from '@/lib/url'
import { Problem, problemOf } from './problem'
import type { Answer, Body, Method, Path, Query } from './types'

type QueryValue = string | number | boolean | readonly string[] | undefined | null

export interface CallOptions<P extends Path = Path, M extends Method = Method> {
  /** Values of the {names} in the path; each is encoded as one segment. */
  params?: Record<string, string | number>
  query?: Query<P, M>
  body?: Body<P, M>
  signal?: AbortSignal
  /** ETag of what is changed; the server answers 412 when somebody else was quicker. */
  ifMatch?: string
  /** For calls that send or start something: a repeated call with the same key is done once. */
  idempotencyKey?: string
}

let csrfToken = ''
/** The session answer carries it; every call that changes something sends it. */
export function setCSRF(token: string | undefined) {
  csrfToken = token ?? ''
}

let onSessionEnd = () => {}
/** Called when an answer says that nobody is signed in any more. */
export function whenSessionEnds(f: () => void) {
  onSessionEnd = f
}

/** Where a path of the API is: for links (downloads) and event streams; calls use call. */
export function apiURL(path: string, params: Record<string, string | number> = {}, query: Record<string, unknown> = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const v = params[name]
    if (v === undefined) throw new Error(`path ${path} wants ${name}`)
    return encodeURIComponent(v)
  })
  const q = new URLSearchParams()
  for (const [k, v] of Object.entries(query) as [string, QueryValue][]) {
    if (v === undefined || v === null || v === '') continue
    if (Array.isArray(v)) for (const one of v as string[]) q.append(k, one)
    else q.set(k, String(v))
  }
  const qs = q.toString()
  return `${consoleBase()}api/v1${filled}${qs ? '?' + qs : ''}`
}

/** The whole answer of a successful call (for its headers); for the others a Problem is thrown. */
export async function send<P extends Path, M extends Method>(method: M, path: P, o: CallOptions<P, M> = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (o.body !== undefined) headers['Content-Type'] = 'application/json'
  if (method !== 'GET' && csrfToken) headers['X-CSRF-Token'] = csrfToken
  if (o.ifMatch) headers['If-Match'] = o.ifMatch
  if (o.idempotencyKey) headers['Idempotency-Key'] = o.idempotencyKey
  let res: Response
  try {
    res = await fetch(apiURL(path, o.params, o.query as Record<string, unknown>), {
      method,
      headers,
      body: o.body === undefined ? undefined : JSON.stringify(o.body),
      signal: o.signal,
      credentials: 'same-origin',
    })
  } catch (e) {
    if (o.signal?.aborted) throw e
    throw new Problem({ status: 0, code: 'unreachable', title: e instanceof Error ? e.message : String(e) })
  }
  if (!res.ok) {
    const p = await problemOf(res)
    if (p.status === 401 && path !== '/session') onSessionEnd()
    throw p
  }
  return res
}

export async function call<P extends Path, M extends Method>(method: M, path: P, o: CallOptions<P, M> = {}): Promise<Answer<P, M>> {
  const res = await send(method, path, o)
  if (res.status === 204) return undefined as Answer<P, M>
  return (await res.json()) as Answer<P, M>
}
