import { useSyncExternalStore } from 'react'

// What one person chose for this browser. It is no part of the URL: a link shows the same data to everybody, each in
// their own language, colours and time zone.
export interface Prefs {
  lang: 'zh-CN' | 'en'
  theme: 'system' | 'light' | 'dark' | 'contrast'
  /** 'browser', 'UTC' or an IANA name. */
  zone: string
  density: 'dense' | 'comfortable'
  sidebar: 'open' | 'narrow'
}

const KEY = 'cometmq.prefs'

function defaults(): Prefs {
  const zh = navigator.languages.some((l) => l.toLowerCase().startsWith('zh'))
  const first = navigator.languages[0] ?? ''
  return {
    lang: zh && !first.startsWith('en') ? 'zh-CN' : 'en',
    theme: 'system',
    zone: 'browser',
    density: 'dense',
    sidebar: 'open',
  }
}

function load(): Prefs {
  try {
    return { ...defaults(), ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) }
  } catch {
    return defaults() // storage forbidden or damaged
  }
}

let current = load()
const listeners = new Set<() => void>()

export function prefs(): Prefs {
  return current
}

export function setPrefs(change: Partial<Prefs>) {
  current = { ...current, ...change }
  try {
    localStorage.setItem(KEY, JSON.stringify(current))
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
  applyPrefs()
  for (const l of listeners) l()
}

/** Puts theme, density and language on the root element, where the styles look for them. */
export function applyPrefs() {
  const root = document.documentElement
  const dark = window.matchMedia?.('(prefers-color-scheme: dark)').matches
  const more = window.matchMedia?.('(prefers-contrast: more)').matches
  const theme = current.theme === 'system' ? (more ? 'contrast' : dark ? 'dark' : 'light') : current.theme
  root.dataset.theme = theme
  root.dataset.density = current.density
  root.lang = current.lang
}

/** Follows the system's colour scheme for as long as the page lives. */
export function followSystem() {
  for (const q of ['(prefers-color-scheme: dark)', '(prefers-contrast: more)']) {
    window.matchMedia?.(q).addEventListener('change', () => {
      applyPrefs()
      for (const l of listeners) l()
    })
  }
}

export function usePrefs(): Prefs {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l)
      return () => listeners.delete(l)
    },
    () => current,
  )
}

/** The zone as Intl wants it; undefined is the browser's own. */
export function zoneOf(p: Prefs): string | undefined {
  return p.zone === 'browser' ? undefined : p.zone
}
