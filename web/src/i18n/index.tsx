import { createContext, use, useCallback, useEffect, useState, type ReactNode } from 'react'
import { prefs, usePrefs } from '@/lib/prefs'
import type en from './en'

// Messages are looked up by 'area.key'; the English catalogue says which keys exist, and tsc refuses others. A catalogue
// is loaded for the chosen language only. {name} is replaced; a message with a count has the forms key_one and
// key_other (Intl.PluralRules picks; Chinese has only _other).
export type Catalogue = { [Area in keyof typeof en]: { [K in keyof (typeof en)[Area]]: string } }
type Areas = typeof en
type Plain<K extends string> = K extends `${infer Stem}_one` ? Stem : K extends `${infer Stem}_other` ? Stem : K
export type Key = { [A in keyof Areas & string]: `${A}.${Plain<keyof Areas[A] & string>}` }[keyof Areas & string]
export type Params = Record<string, string | number | bigint>
export type T = (key: Key, params?: Params & { count?: number }) => string

const loaders = {
  en: () => import('./en'),
  'zh-CN': () => import('./zh-CN'),
} as const
const loaded: Partial<Record<string, Catalogue>> = {}

export async function loadMessages(lang: keyof typeof loaders): Promise<void> {
  loaded[lang] ??= (await loaders[lang]()).default as Catalogue
}

export function lookup(cat: Catalogue | undefined, lang: string, key: string, params?: Params): string | undefined {
  const dot = key.indexOf('.')
  const area = (cat as Record<string, Record<string, string>> | undefined)?.[key.slice(0, dot)]
  const name = key.slice(dot + 1)
  let msg = area?.[name]
  if (params && typeof params.count === 'number') {
    msg = area?.[`${name}_${new Intl.PluralRules(lang).select(params.count)}`] ?? area?.[`${name}_other`] ?? msg
  }
  return params ? msg?.replace(/\{(\w+)\}/g, (whole, k: string) => (k in params ? String(params[k]) : whole)) : msg
}

export function translate(key: Key, params?: Params): string {
  const lang = prefs().lang
  return lookup(loaded[lang], lang, key, params) ?? key
}

const Lang = createContext('en')

/** Gives its children the messages of the chosen language. A newly chosen one replaces the old one once it is loaded;
 *  the first must be loaded before (main.tsx). */
export function Messages({ children }: { children: ReactNode }) {
  const wanted = usePrefs().lang
  const [lang, setLang] = useState(wanted)
  useEffect(() => {
    let current = true
    void loadMessages(wanted).then(() => current && setLang(wanted))
    return () => {
      current = false
    }
  }, [wanted])
  return <Lang value={lang}>{children}</Lang>
}

export function useT(): T {
  const lang = use(Lang)
  return useCallback((key, params) => lookup(loaded[lang], lang, key, params) ?? key, [lang])
}

/** For keys made at run time (codes from the server): undefined when there is no such message. */
export function useMaybeT(): (key: string, params?: Params) => string | undefined {
  const lang = use(Lang)
  return useCallback((key, params) => lookup(loaded[lang], lang, key, params), [lang])
}
