import { useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useRouterState } from '@tanstack/react-router'
import { ChevronsUpDown, CircleHelp, Clock, Languages, Menu as MenuIcon, Monitor, Moon, Search, ShieldAlert, Sun, SunMoon, User } from 'lucide-react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import { useSession } from '@/api/session'
import { CheckItem, Menu, MenuItem, MenuLine, RadioItems } from '@/components/Menu'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { setPrefs, usePrefs, type Prefs } from '@/lib/prefs'

export function Header({ onMenu, onSearch, onHelp }: { onMenu: () => void; onSearch: () => void; onHelp: () => void }) {
  const t = useT()
  const p = usePrefs()
  const f = useFormats()
  const ThemeIcon = { system: SunMoon, light: Sun, dark: Moon, contrast: Monitor }[p.theme]
  return (
    <>
      <header className="sticky top-0 z-20 flex h-12 items-center gap-1.5 border-b bg-panel/95 px-3 backdrop-blur sm:px-6">
        <button type="button" className="btn btn-icon btn-quiet -ml-1 lg:hidden" aria-label={t('shell.menu')} onClick={onMenu}>
          <MenuIcon aria-hidden className="size-4" />
        </button>
        <ClusterSwitch />
        <button type="button" onClick={onSearch} className="ml-auto flex h-[30px] items-center gap-2 rounded-md border border-line-strong bg-sunken px-2.5 text-ink-3 hover:border-ink-3 sm:w-72">
          <Search aria-hidden className="size-3.5" />
          <span className="flex-1 truncate text-left max-sm:sr-only">{t('shell.searchHint')}</span>
          <kbd aria-hidden className="hidden rounded border bg-panel px-1 font-mono text-2xs leading-4 sm:block">{isMac() ? '⌘K' : 'Ctrl K'}</kbd>
        </button>
        <span className="ml-auto hidden sm:block" />
        <Menu label={t('shell.zone', { zone: f.zoneName })} trigger={<Clock aria-hidden className="size-4" />}>
          <RadioItems
            label={t('shell.timeZone')}
            value={p.zone}
            onChange={(zone) => setPrefs({ zone })}
            items={[
              { value: 'browser', label: t('shell.zoneBrowser', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone }) },
              { value: 'UTC', label: 'UTC' },
              { value: 'Asia/Shanghai', label: t('shell.zoneChina') },
            ]}
          />
        </Menu>
        <Menu label={t('shell.language')} trigger={<Languages aria-hidden className="size-4" />}>
          <RadioItems value={p.lang} onChange={(lang) => setPrefs({ lang: lang as Prefs['lang'] })} items={[{ value: 'en', label: <span lang="en">English</span> }, { value: 'zh-CN', label: <span lang="zh-CN">简体中文</span> }]} />
        </Menu>
        <Menu label={t('shell.look')} trigger={<ThemeIcon aria-hidden className="size-4" />}>
          <RadioItems
            label={t('shell.theme')}
            value={p.theme}
            onChange={(theme) => setPrefs({ theme: theme as Prefs['theme'] })}
            items={(['system', 'light', 'dark', 'contrast'] as const).map((value) => ({ value, label: t(`shell.theme_${value}`) }))}
          />
          <MenuLine />
          <CheckItem checked={p.density === 'comfortable'} onChange={(on) => setPrefs({ density: on ? 'comfortable' : 'dense' })}>
            {t('shell.comfortable')}
          </CheckItem>
        </Menu>
        <button type="button" className="btn btn-icon btn-quiet max-sm:hidden" aria-label={t('shell.help')} title={`${t('shell.help')} (?)`} onClick={onHelp}>
          <CircleHelp aria-hidden className="size-4" />
        </button>
        <UserMenu />
      </header>
      <Warnings />
    </>
  )
}

function isMac() {
  return /Mac|iPhone|iPad/.test(navigator.platform)
}

function ClusterSwitch() {
  const t = useT()
  const cluster = useCluster()
  const clusters = useApi('/clusters', { every: 30_000 })
  const navigate = useNavigate()
  const path = useRouterState({ select: (s) => s.location.pathname })
  const items = clusters.data?.items ?? []
  const name = cluster || t('shell.allClusters')
  if (items.length <= 1) {
    return cluster ? (
      <Link to="/c/$c" params={{ c: cluster } as never} className="min-w-0 truncate px-1 font-semibold">
        {cluster}
      </Link>
    ) : null
  }
  return (
    <Menu
      align="start"
      label={t('shell.cluster', { name })}
      className="btn btn-quiet -ml-2 min-w-0 font-semibold text-ink"
      trigger={
        <>
          <span className="truncate">{name}</span>
          <ChevronsUpDown aria-hidden className="size-3.5 text-ink-3" />
        </>
      }
    >
      <RadioItems
        value={cluster}
        // The same kind of page in the other cluster; a single topic or group need not exist there.
        onChange={(c) => void navigate({ to: cluster ? (`/c/$c/${path.split('/c/')[1]?.split('/')[1] ?? ''}` as '/') : ('/c/$c' as '/'), params: { c } as never })}
        items={items.map((c) => ({ value: c.name, label: c.name }))}
      />
      <MenuLine />
      <MenuItem onSelect={() => void navigate({ to: '/' })}>{t('shell.allClusters')}</MenuItem>
    </Menu>
  )
}

function UserMenu() {
  const t = useT()
  const s = useSession()
  const client = useQueryClient()
  const navigate = useNavigate()
  if (!s.authenticated || !s.user) return null
  const out = async (everywhere: boolean) => {
    await call('DELETE', '/session', { query: everywhere ? { everywhere: true } : {} }).catch(() => {})
    client.clear()
    void navigate({ to: '/login' })
  }
  return (
    <Menu
      label={t('shell.user', { name: s.user })}
      className="btn btn-quiet px-2"
      trigger={
        <>
          <User aria-hidden className="size-4" />
          <span className="hidden max-w-32 truncate sm:block">{s.user}</span>
        </>
      }
    >
      <div className="px-2 pt-1.5 pb-2">
        <div className="font-medium">{s.user}</div>
        {s.role && <div className="text-xs text-ink-3">{t(`roles.${s.role}`)}</div>}
      </div>
      <MenuLine />
      <MenuItem onSelect={() => void navigate({ to: '/settings' })}>{t('nav.settings')}</MenuItem>
      {!s.open && (
        <>
          <MenuItem onSelect={() => void out(false)}>{t('shell.signOut')}</MenuItem>
          <MenuItem onSelect={() => void out(true)}>{t('shell.signOutEverywhere')}</MenuItem>
        </>
      )}
    </Menu>
  )
}

/** What everybody must know: nobody signs in here, or passwords travel in the clear. */
function Warnings() {
  const t = useT()
  const s = useSession()
  const text = s.open ? t('shell.openWarning') : !s.secure ? t('shell.plainWarning') : ''
  if (!text) return null
  return (
    <div role="status" className="flex items-center gap-2 border-b bg-warn-soft px-4 py-1 text-xs text-warn sm:px-6">
      <ShieldAlert aria-hidden className="size-3.5 shrink-0" />
      {text}
    </div>
  )
}
