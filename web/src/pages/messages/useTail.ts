import { useEffect, useReducer, useState } from 'react'
import { apiURL, call } from '@/api/client'
import type { S } from '@/api/types'
import type { MessageQuery } from '@/lib/search'
import { emptyTail, tail } from '@/lib/tail'

export type TailLink = 'connecting' | 'open' | 'hidden' | 'ended'

const FLUSH = 200 // ms: 200 messages a second are drawn as 5 updates

/** Follows a topic by server-sent events. The stream is closed while the page is hidden and goes on from the last message
 *  that was seen. from: the store time to begin at; without it at the end. */
export function useTail(cluster: string, topic: string, query: Omit<MessageQuery, 'from' | 'to' | 'order'>) {
  const [state, dispatch] = useReducer(tail, emptyTail)
  const [link, setLink] = useState<TailLink>('connecting')
  const [again, setAgain] = useState(0)
  const key = JSON.stringify(query)
  useEffect(() => {
    let source: EventSource | undefined
    let buffer: S['Message'][] = []
    let last = 0
    const asked = JSON.parse(key) as MessageQuery
    const abort = new AbortController()
    const flush = () => {
      if (buffer.length === 0) return
      dispatch({ type: 'messages', items: buffer })
      buffer = []
    }
    const timer = setInterval(flush, FLUSH)
    const close = () => {
      source?.close()
      source = undefined
    }
    const open = () => {
      close()
      setLink('connecting')
      const s = new EventSource(apiURL('/clusters/{cluster}/topics/{topic}/messages/stream', { cluster, topic }, { ...asked, follow: true, from: last ? last + 1 : undefined }))
      source = s
      dispatch({ type: 'error', error: undefined })
      const on = <E,>(name: string, f: (data: E) => void) => s.addEventListener(name, (e) => f(JSON.parse((e as MessageEvent<string>).data) as E))
      on<S['Message']>('message', (m) => {
        last = Math.max(last, m.storeTime)
        buffer.push(m)
      })
      on<{ dropped: string }>('gap', (g) => dispatch({ type: 'gap', dropped: Number(g.dropped) }))
      // The first progress says that the server knows where it begins: what is stored from now on will be seen.
      on<{ scanned: string }>('progress', (p) => {
        setLink('open')
        dispatch({ type: 'progress', scanned: p.scanned })
      })
      on<S['NodeError']>('problem', (problem) => dispatch({ type: 'problem', problem }))
      s.addEventListener('end', () => {
        close()
        setLink('ended')
      })
      s.addEventListener('error', () => {
        if (s.readyState !== EventSource.CLOSED) {
          setLink('connecting') // the browser tries again by itself
          return
        }
        setLink('ended')
        // An event stream cannot say why it was refused; the search of the same question can.
        call('GET', '/clusters/{cluster}/topics/{topic}/messages', { params: { cluster, topic }, query: { ...asked, limit: 1 }, signal: abort.signal }).then(
          () => {},
          (e: unknown) => {
            if (!abort.signal.aborted) dispatch({ type: 'error', error: e })
          },
        )
      })
    }
    const seen = () => {
      if (document.hidden) {
        flush()
        close()
        setLink('hidden')
      } else open()
    }
    dispatch({ type: 'begin' })
    seen()
    document.addEventListener('visibilitychange', seen)
    return () => {
      document.removeEventListener('visibilitychange', seen)
      clearInterval(timer)
      abort.abort()
      close()
    }
  }, [cluster, topic, key, again])
  return { state, dispatch, link, reconnect: () => setAgain((n) => n + 1) }
}
