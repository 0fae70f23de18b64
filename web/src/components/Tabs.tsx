import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useSearchState } from '@/lib/url'

export interface Tab {
  id: string
  label: ReactNode
  /** A figure beside the label. */
  count?: ReactNode
}

/** Tabs are links, so that each has a URL: ?tab=id. The first one is the default. Keys of other tabs' tables go away. */
export function Tabs({ tabs, label }: { tabs: Tab[]; label: string }) {
  const now = useTab(tabs)
  return (
    <nav aria-label={label} className="-mb-1 flex gap-5 overflow-x-auto border-b">
      {tabs.map((t, i) => (
        <Link
          key={t.id}
          to="."
          search={(i === 0 ? {} : { tab: t.id }) as never}
          // The router would call each link active whose search is part of the URL's, so also the first.
          activeProps={{ 'aria-current': t.id === now ? 'page' : undefined }}
          data-on={t.id === now || undefined}
          className="-mb-px flex items-center gap-1.5 border-b-2 border-transparent pt-1 pb-2 whitespace-nowrap text-ink-2 hover:text-ink data-on:border-accent data-on:font-medium data-on:text-ink"
        >
          {t.label}
          {t.count !== undefined && <span className="rounded-full bg-sunken px-1.5 text-2xs text-ink-3">{t.count}</span>}
        </Link>
      ))}
    </nav>
  )
}

export function useTab(tabs: { id: string }[]): string {
  const { tab } = useSearchState()
  return tabs.some((t) => t.id === tab) ? tab! : tabs[0]!.id
}
