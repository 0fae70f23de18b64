import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { call } from '@/api/client'
import type { Problem } from '@/api/problem'
import type { S } from '@/api/types'
import { messageQuery, type MessageQuery, type Span } from '@/lib/search'
import { useSearchState } from '@/lib/url'

export type SearchPath = '/clusters/{cluster}/topics/{topic}/messages' | '/clusters/{cluster}/dlq/{group}/messages'

/** The search that the URL describes, page by page. The server stops after its budget (200,000 messages, 20 s) and is
 *  asked to go on only when the user wants it. */
export function useMessageSearch(path: SearchPath, params: Record<string, string>, span: Span, enabled = true) {
  const search = useSearchState()
  const [begun, setBegun] = useState(() => Date.now())
  const query = useMemo(() => messageQuery(search, begun, span), [search, begun, span])
  const q = useInfiniteQuery<S['MessagePage'], Problem, { pages: S['MessagePage'][] }, unknown[], string | undefined>({
    queryKey: [path, params, queryKey(query)],
    queryFn: ({ pageParam, signal }) => call('GET', path as SearchPath & '/clusters/{cluster}/topics/{topic}/messages', { params, query: { ...query, limit: 100, cursor: pageParam }, signal }),
    initialPageParam: undefined,
    getNextPageParam: (last) => last.nextCursor,
    enabled,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  })
  const pages = q.data?.pages
  const rows = useMemo(() => pages?.flatMap((p) => p.items), [pages])
  return {
    query,
    rows,
    last: pages?.at(-1),
    // Each page tells its own part; a sum may pass 2^53 no sooner than the log does.
    scanned: pages?.reduce((n, p) => n + BigInt(p.scanned), 0n),
    errors: pages?.flatMap((p) => p.errors ?? []),
    error: q.error,
    busy: q.isFetching,
    more: q.hasNextPage,
    goOn: () => void q.fetchNextPage(),
    /** Begins again, with the window moved to now. */
    again: () => setBegun(Date.now()),
    retry: () => void q.refetch(),
  }
}

const queryKey = (q: MessageQuery) => JSON.stringify(q)
