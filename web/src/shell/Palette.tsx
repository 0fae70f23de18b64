import { useNavigate } from '@tanstack/react-router'
import { Boxes, CircleHelp, Languages, Search, SunMoon, Users } from 'lucide-react'
import { useDeferredValue, useEffect, useId, useRef, useState } from 'react'
import { useApi } from '@/api/hooks'
import { useT } from '@/i18n'
import { prefs, setPrefs } from '@/lib/prefs'
import { useMayEach } from '@/api/session'
import { nav } from '@/nav'
import { useClusterOrFirst } from './Sidebar'

interface Entry {
  id: string
  section: string
  label: string
  icon: typeof Search
  hint?: string
  mono?: boolean
  run: () => void
}

/** Go to a page, a topic, a group, or do one of a few things, by typing. */
export default function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const t = useT()
  const navigate = useNavigate()
  const may = useMayEach()
  const cluster = useClusterOrFirst()
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const ref = useRef<HTMLDialogElement>(null)
  const listId = useId()
  const q = useDeferredValue(text.trim())
  const ask = { params: { cluster }, query: { q, limit: 8 }, enabled: q.length >= 2 && cluster !== '', keep: true }
  const topics = useApi('/clusters/{cluster}/topics', ask)
  const groups = useApi('/clusters/{cluster}/groups', ask)

  useEffect(() => {
    const d = ref.current
    const back = document.activeElement
    if (d && !d.open) d.showModal()
    return () => {
      d?.close()
      if (back instanceof HTMLElement && back.isConnected) back.focus()
    }
  }, [])

  const go = (to: string, params: Record<string, string> = {}) => () => void navigate({ to: to as '/', params: { c: cluster, ...params } as never })
  const has = (s: string) => s.toLowerCase().includes(text.trim().toLowerCase())
  const entries: Entry[] = [
    ...nav
      .flatMap((s) => s.items)
      .filter((i) => may(i) && (cluster || !i.path.includes('$c')) && (has(t(i.label)) || has(i.path)))
      .map((i): Entry => ({ id: i.path, section: t('shell.pages'), label: t(i.label), icon: i.icon, hint: `g ${i.jump}`, run: go(i.path) })),
    ...(q.length >= 2 ? (topics.data?.items ?? []) : []).map((x): Entry => ({ id: 't:' + x.name, section: t('nav.topics'), label: x.name, icon: Boxes, mono: true, run: go('/c/$c/topics/$t', { t: x.name }) })),
    ...(q.length >= 2 ? (groups.data?.items ?? []) : []).map((x): Entry => ({ id: 'g:' + x.name, section: t('nav.groups'), label: x.name, icon: Users, mono: true, run: go('/c/$c/groups/$g', { g: x.name }) })),
    ...[
      { id: 'a:theme', label: t('shell.switchTheme'), icon: SunMoon, run: () => setPrefs({ theme: document.documentElement.dataset.theme === 'light' ? 'dark' : 'light' }) },
      { id: 'a:lang', label: prefs().lang === 'en' ? '切换到简体中文' : 'Switch to English', icon: Languages, run: () => setPrefs({ lang: prefs().lang === 'en' ? 'zh-CN' : 'en' }) },
      { id: 'a:help', label: t('shell.help'), icon: CircleHelp, run: onHelp },
    ]
      .filter((a) => has(a.label))
      .map((a): Entry => ({ ...a, section: t('shell.actions') })),
  ]
  const now = Math.min(at, entries.length - 1)
  const run = (e: Entry | undefined) => {
    if (!e) return
    onClose()
    e.run()
  }
  useEffect(() => {
    document.getElementById(`${listId}-${now}`)?.scrollIntoView({ block: 'nearest' })
  }, [now, listId])

  return (
    <dialog
      ref={ref}
      aria-label={t('shell.search')}
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
      onClick={(e) => e.target === ref.current && onClose()}
      className="mt-[12vh] w-[calc(100vw-2rem)] max-w-xl rounded-lg bg-raised p-0 shadow-(--shadow-pop)"
    >
      <div className="flex items-center gap-2.5 border-b px-4">
        <Search aria-hidden className="size-4 text-ink-3" />
        <input
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type here
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={entries.length > 0 ? `${listId}-${now}` : undefined}
          aria-label={t('shell.searchHint')}
          placeholder={t('shell.searchHint')}
          className="h-12 flex-1 bg-transparent text-base outline-none placeholder:text-ink-3"
          value={text}
          onChange={(e) => {
            setText(e.target.value)
            setAt(0)
          }}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
              e.preventDefault()
              setAt((now + (e.key === 'ArrowDown' ? 1 : -1) + entries.length) % Math.max(1, entries.length))
            } else if (e.key === 'Enter') {
              e.preventDefault()
              run(entries[now])
            }
          }}
        />
      </div>
      <div id={listId} role="listbox" aria-label={t('shell.search')} className="max-h-[46vh] overflow-y-auto p-1.5">
        {entries.map((e, i) => {
          const Icon = e.icon
          return (
            <div key={e.id} role="presentation">
              {entries[i - 1]?.section !== e.section && <div role="presentation" className="eyebrow px-2.5 pt-2 pb-1">{e.section}</div>}
              {/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events -- the combobox has the keys */}
              <div id={`${listId}-${i}`} role="option" tabIndex={-1} aria-selected={i === now} className="menu-item h-8 px-2.5" onMouseMove={() => i !== now && setAt(i)} onClick={() => run(e)}>
                <Icon aria-hidden className="size-4 shrink-0 text-ink-3" />
                <span className={e.mono ? 'name truncate' : 'truncate'}>{e.label}</span>
                {e.hint && <kbd className="ml-auto font-mono text-2xs text-ink-3">{e.hint}</kbd>}
              </div>
            </div>
          )
        })}
        {entries.length === 0 && <div className="px-3 py-8 text-center text-ink-3">{t('shell.noHit')}</div>}
      </div>
    </dialog>
  )
}
