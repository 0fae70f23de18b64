import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback } from 'react'

// View state lives in the query string as plain strings, so that a link reproduces the view and can be read and typed
// by hand. (The router's default writes JSON there.)
export type Search = Record<string, string | undefined>

export function parseSearch(s: string): Search {
  const out: Search = {}
  for (const [k, v] of new URLSearchParams(s)) out[k] = v
  return out
}

export function stringifySearch(search: Record<string, unknown>): string {
  const p = new URLSearchParams()
  for (const [k, v] of Object.entries(search)) if (v !== undefined && v !== null && v !== '') p.set(k, String(v))
  const s = p.toString()
  return s ? '?' + s : ''
}

export function useSearchState(): Search {
  return useSearch({ strict: false }) as Search
}

/** Changes some keys of the query string; undefined or '' removes a key. By default history is replaced: typing in a
 *  filter must not fill the back button. */
export function useSetSearch() {
  const navigate = useNavigate()
  return useCallback(
    (change: Search, opts?: { push?: boolean }) => {
      void navigate({
        to: '.',
        search: ((old: Search) => clean({ ...old, ...change })) as never,
        replace: !opts?.push,
        resetScroll: false,
      })
    },
    [navigate],
  )
}

/** One key of the query string as state. The default is not written to the URL. */
export function useUrlState(key: string, fallback = ''): [string, (v: string) => void] {
  const value = useSearchState()[key] ?? fallback
  const set = useSetSearch()
  return [value, useCallback((v: string) => set({ [key]: v === fallback ? undefined : v }), [set, key, fallback])]
}

function clean(s: Search): Search {
  return Object.fromEntries(Object.entries(s).filter(([, v]) => v !== undefined && v !== ''))
}

/** Where the console is mounted, with a slash at both ends. web.Index writes it into the page. */
export function consoleBase(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="console-base"]')?.content || '/'
}
