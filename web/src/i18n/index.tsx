import { createContext, use, useCallback, useEffect, useState, type ReactNode } from 'react'
import { prefs, usePrefs } from '@/lib/prefs'
import type en from './en'

// Messages are looked up by 'area.key'; the English catalogue says which keys exist, and tsc refuses others. {name} is
// replaced; a message with a count has the forms key_one and key_other (Intl.PluralRules picks; Chinese has only _other).
// Only the chosen language is loaded: with the first page the areas of first.ts, which every page may use, and the others
// with the pages that name them in routes.tsx.
export type Catalogue = { [Area in keyof typeof en]: { [K in keyof (typeof en)[Area]]: string } }
type Areas = typeof en
type Plain<K extends string> = K extends `${infer Stem}_one` ? Stem : K extends `${infer Stem}_other` ? Stem : K
export type Key = { [A in keyof Areas & string]: `${A}.${Plain<keyof Areas[A] & string>}` }[keyof Areas & string]
export type Params = Record<string, string | number | bigint>
export type T = (key: Key, params?: Params & { count?: number }) => string
/** What comes with pages. */
export type Area = Exclude<keyof Areas, keyof typeof import('./en/first').default>

const first = {
  en: () => import('./en/first'),
  'zh-CN': () => import('./zh-CN/first'),
} as const
type Lang = keyof typeof first
const later = import.meta.glob<Record<string, string>>(['./*/*.json', '!./*/{chart,common,errors,login,nav,plan,roles,shell}.json'], { import: 'default' })
const loaded: { [L in Lang]?: Partial<Catalogue> } = {}
const wanted = new Set<Area>()
/** The language that is drawn; while another one is loaded it is not the chosen one. */
let drawn: Lang | undefined

async function load(lang: Lang): Promise<void> {
  const cat = (loaded[lang] ??= {}) as Record<string, Record<string, string>>
  const areas = [...wanted].filter((area) => !cat[area])
  const [base, ...parts] = await Promise.all([cat.common ? undefined : first[lang](), ...areas.map((area) => later[`./${lang}/${area}.json`]!())])
  Object.assign(cat, base?.default, Object.fromEntries(areas.map((area, i) => [area, parts[i]!])))
}

/** Loads a language, with the areas of all pages that were shown. */
export const loadMessages = load

/** Loads areas in the languages that are in use. */
export async function needMessages(areas: readonly Area[]): Promise<void> {
  for (const area of areas) wanted.add(area)
  await Promise.all([...new Set([prefs().lang, drawn ?? prefs().lang])].map(load))
}

export function lookup(cat: Partial<Catalogue> | undefined, lang: string, key: string, params?: Params): string | undefined {
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

const LangContext = createContext<Lang>('en')

/** Gives its children the messages of the chosen language. A newly chosen one replaces the old one once it is loaded;
 *  the first must be loaded before (main.tsx). */
export function Messages({ children }: { children: ReactNode }) {
  const chosen = usePrefs().lang
  const [lang, setLang] = useState(chosen)
  useEffect(() => {
    drawn = lang
  }, [lang])
  useEffect(() => {
    let current = true
    void loadMessages(chosen).then(() => current && setLang(chosen))
    return () => {
      current = false
    }
  }, [chosen])
  return <LangContext value={lang}>{children}</LangContext>
}

export function useT(): T {
  const lang = use(LangContext)
  return useCallback((key, params) => lookup(loaded[lang], lang, key, params) ?? key, [lang])
}

/** For keys made at run time (codes from the server): undefined when there is no such message. */
export function useMaybeT(): (key: string, params?: Params) => string | undefined {
  const lang = use(LangContext)
  return useCallback((key, params) => lookup(loaded[lang], lang, key, params), [lang])
}
