import { Link } from '@tanstack/react-router'
import { PanelLeftClose, PanelLeftOpen } from 'lucide-react'
import { useApi, useCluster } from '@/api/hooks'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { setPrefs } from '@/lib/prefs'
import { nav, type NavItem } from '@/nav'
import { useMayEach } from '@/api/session'
import { Mark } from './Mark'

/** The cluster of the URL, else the first one: pages that belong to no cluster still offer the way back. */
export function useClusterOrFirst(): string {
  const here = useCluster()
  const clusters = useApi('/clusters', { enabled: !here })
  return here || (clusters.data?.items[0]?.name ?? '')
}

export function Sidebar({ narrow, open, onClose }: { narrow: boolean; open: boolean; onClose: () => void }) {
  const t = useT()
  const cluster = useClusterOrFirst()
  const may = useMayEach()
  return (
    <>
      {open && <button type="button" aria-label={t('common.close')} className="fixed inset-0 z-30 bg-black/50 lg:hidden" onClick={onClose} />}
      <aside className={cn('night fixed inset-y-0 left-0 z-40 flex w-54 flex-col border-r border-night-line bg-night text-night-ink lg:flex', narrow && 'lg:w-14', !open && 'max-lg:hidden')}>
        <Link to="/" className={cn('flex h-12 shrink-0 items-center gap-2.5 px-4', narrow && 'lg:px-[17px]')}>
          <Mark className="size-[22px] shrink-0" />
          <span className={cn('text-[15px] font-semibold tracking-[-0.01em] text-white', narrow && 'lg:hidden')}>
            Comet<span className="font-normal text-night-dim">MQ</span>
          </span>
        </Link>
        <nav aria-label={t('shell.main')} className="flex-1 overflow-y-auto px-2 pt-1 pb-4">
          {nav.map((section) => (
            <div key={section.label} className="pt-3">
              <div className={cn('px-2 pb-1 text-2xs font-medium text-night-dim', narrow && 'lg:sr-only')}>{t(section.label)}</div>
              <ul className="m-0 list-none p-0">
                {section.items.filter(may).map((item) => (
                  <li key={item.path}>
                    <Item item={item} cluster={cluster} narrow={narrow} onGo={onClose} />
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <button type="button" className="m-2 hidden h-8 items-center gap-2.5 rounded-md px-2.5 text-night-dim hover:bg-night-2 hover:text-white lg:flex" aria-label={narrow ? t('shell.wide') : t('shell.narrow')} onClick={() => setPrefs({ sidebar: narrow ? 'open' : 'narrow' })}>
          {narrow ? <PanelLeftOpen aria-hidden className="size-4" /> : <PanelLeftClose aria-hidden className="size-4" />}
          <span className={cn('text-xs', narrow && 'hidden')}>{t('shell.narrow')}</span>
        </button>
      </aside>
    </>
  )
}

function Item({ item, cluster, narrow, onGo }: { item: NavItem; cluster: string; narrow: boolean; onGo: () => void }) {
  const t = useT()
  const Icon = item.icon
  if (item.path.includes('$c') && !cluster) return null
  return (
    <Link
      to={item.path}
      params={{ c: cluster } as never}
      activeOptions={{ exact: item.path === '/c/$c', includeSearch: false }}
      onClick={onGo}
      title={narrow ? t(item.label) : undefined}
      className="group relative flex h-8 items-center gap-2.5 rounded-md px-2.5 text-night-ink hover:bg-night-2 hover:text-white aria-[current=page]:bg-night-2 aria-[current=page]:text-white"
    >
      <span aria-hidden className="absolute top-1.5 bottom-1.5 -left-2 hidden w-[3px] rounded-r-full bg-comet group-aria-[current=page]:block" />
      <Icon aria-hidden strokeWidth={1.75} className="size-4 shrink-0 text-night-dim group-hover:text-white group-aria-[current=page]:text-comet" />
      <span className={cn('truncate', narrow && 'lg:sr-only')}>{t(item.label)}</span>
    </Link>
  )
}
