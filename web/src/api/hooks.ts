import { keepPreviousData, QueryClient, useMutation, useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { useProblemText } from '@/components/Problem'
import { toast } from '@/components/Toasts'
import { call } from './client'
import { Problem } from './problem'
import type { Answer, GetPath, Item, ListPath, Query, S } from './types'

export function newQueryClient() {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        // What the server refused stays refused; only a lost connection is worth another try.
        retry: (n, e) => n < 2 && e instanceof Problem && [0, 502, 503, 504].includes(e.status),
        retryDelay: 800,
      },
    },
  })
}

/** The cluster in the URL. */
export function useCluster(): string {
  return (useParams({ strict: false }) as { c?: string }).c ?? ''
}

export interface GetOptions<P extends GetPath> {
  /** Values of the {names} in the path; {cluster} is taken from the URL when it is missing here. */
  params?: Record<string, string | number>
  query?: Query<P>
  /** Ask again every so many ms while the page is visible. */
  every?: number
  enabled?: boolean
  /** Go on showing the answer of the old query while a changed one loads. */
  keep?: boolean
}

function useParamsOf(path: string, o: { params?: Record<string, string | number> }) {
  const cluster = useCluster()
  // Not for the other paths: their answers have one key on all pages.
  return { ...(cluster && path.includes('{cluster}') && { cluster }), ...o.params }
}

/** GET as a query: cached by path, parameters and query; aborted when nobody wants the answer any more. The path is the
 *  first element of the key, so invalidating [path] reaches all its answers. */
export function useApi<P extends GetPath>(path: P, o: GetOptions<P> = {}): UseQueryResult<Answer<P>, Problem> {
  const params = useParamsOf(path, o)
  return useQuery<Answer<P>, Problem>({
    queryKey: [path, params, o.query ?? {}],
    queryFn: ({ signal }) => call('GET', path, { params, query: o.query as never, signal }) as Promise<Answer<P>>,
    refetchInterval: o.every,
    enabled: o.enabled,
    placeholderData: o.keep ? keepPreviousData : undefined,
  })
}

export interface Whole<T> {
  items: T[]
  /** What the server says there is; more than items when the list was cut at 20,000. */
  total: number
  partial: boolean
  errors: S['NodeError'][]
}
const PAGE = 1000
const MOST = 20_000

/** All pages of a list, for tables that sort and filter in the browser (DataTable draws only what is visible). */
export function useList<P extends ListPath>(path: P, o: GetOptions<P> = {}): UseQueryResult<Whole<Item<P>>, Problem> {
  const params = useParamsOf(path, o)
  return useQuery<Whole<Item<P>>, Problem>({
    queryKey: [path, params, { ...o.query, all: true }],
    queryFn: async ({ signal }) => {
      const whole: Whole<Item<P>> = { items: [], total: 0, partial: false, errors: [] }
      let cursor: string | undefined
      do {
        const page = (await call('GET', path, { params, query: { ...o.query, limit: PAGE, cursor } as never, signal })) as unknown as {
          items: Item<P>[]
          nextCursor?: string
          total?: number
          partial?: boolean
          errors?: S['NodeError'][]
        }
        whole.items.push(...page.items)
        whole.total = page.total ?? whole.items.length
        whole.partial ||= page.partial ?? false
        for (const e of page.errors ?? []) if (!whole.errors.some((old) => old.node === e.node && old.code === e.code)) whole.errors.push(e)
        cursor = page.nextCursor
      } while (cursor && whole.items.length < MOST)
      return whole
    },
    refetchInterval: o.every,
    enabled: o.enabled,
    placeholderData: o.keep ? keepPreviousData : undefined,
  })
}

export interface ActionOptions<A, R> {
  /** Paths whose cached answers are out of date afterwards. */
  invalidate?: GetPath[]
  /** The toast after success. */
  done?: (answer: R, arg: A) => string | undefined
  onDone?: (answer: R, arg: A) => void
  /** The caller shows problems itself, as a form does; else a toast says them. */
  quiet?: boolean
}

/** A call that changes something. */
export function useAction<A = void, R = unknown>(fn: (arg: A) => Promise<R>, o: ActionOptions<A, R> = {}) {
  const client = useQueryClient()
  const text = useProblemText()
  return useMutation<R, Error, A>({
    mutationFn: fn,
    onSuccess: async (answer, arg) => {
      const msg = o.done?.(answer, arg)
      if (msg) toast('ok', msg)
      await Promise.all((o.invalidate ?? []).map((path) => client.invalidateQueries({ queryKey: [path] })))
      o.onDone?.(answer, arg)
    },
    onError: (e) => {
      if (!o.quiet) toast('bad', text(e))
    },
  })
}

/** One key for the life of a form: its second click does nothing twice. */
export function useIdempotencyKey(): string {
  return useState(newKey)[0]
}

/** crypto.randomUUID does not exist on pages that came by plain HTTP. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('')
}
