import type { S } from './types'

/** An RFC 9457 problem document, or what we make of an answer that is none. */
export type ProblemBody = Partial<S['Problem']> & Pick<S['Problem'], 'status' | 'code' | 'title'>

export class Problem extends Error {
  readonly body: ProblemBody
  constructor(body: ProblemBody) {
    super(body.detail || body.title || body.code)
    this.name = 'Problem'
    this.body = body
  }
  /** 0: the server could not be reached. */
  get status() {
    return this.body.status
  }
  get code() {
    return this.body.code
  }
}

export async function problemOf(res: Response): Promise<Problem> {
  const fallback: ProblemBody = { status: res.status, code: `http_${res.status}`, title: res.statusText || `HTTP ${res.status}` }
  if (!res.headers.get('content-type')?.includes('json')) return new Problem(fallback)
  try {
    return new Problem({ ...fallback, ...((await res.json()) as Partial<ProblemBody>), status: res.status })
  } catch {
    return new Problem(fallback)
  }
}
