import { Inbox } from 'lucide-react'
import { useEffect, type ReactNode } from 'react'
import { cn } from '@/lib/cn'

/** What every page begins with. */
export function Page({ title, eyebrow, badges, actions, children, wide }: {
  title: ReactNode
  /** Small line above the title: where we are. */
  eyebrow?: ReactNode
  badges?: ReactNode
  actions?: ReactNode
  children: ReactNode
  wide?: boolean
}) {
  useEffect(() => {
    document.title = typeof title === 'string' ? `${title} · CometMQ` : 'CometMQ'
  }, [title])
  return (
    <div className={cn('mx-auto flex w-full flex-col gap-4 px-4 pt-4 pb-10 sm:px-6', wide === false ? 'max-w-3xl' : 'max-w-[1720px]')}>
      <header className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          {eyebrow && <div className="mb-0.5 text-xs text-ink-3">{eyebrow}</div>}
          <div className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="min-w-0 text-[20px] leading-7 font-semibold tracking-[-0.015em] break-all">{title}</h1>
            {badges}
          </div>
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  )
}

/** A framed part of a page. */
export function Panel({ title, actions, children, flush, className, note }: {
  title?: ReactNode
  note?: ReactNode
  actions?: ReactNode
  children: ReactNode
  /** No padding: for tables. */
  flush?: boolean
  className?: string
}) {
  return (
    <section className={cn('panel min-w-0', className)}>
      {(title || actions) && (
        <div className="flex min-h-10 items-center justify-between gap-2 px-3.5 py-1.5">
          <div className="flex min-w-0 flex-1 items-baseline gap-2">
            <h2 className="shrink-0 text-sm font-semibold">{title}</h2>
            {note && <span className="truncate text-xs text-ink-3">{note}</span>}
          </div>
          {actions && <div className="flex shrink-0 items-center gap-1.5">{actions}</div>}
        </div>
      )}
      <div className={cn(flush ? (title || actions ? 'border-t' : '') : title || actions ? 'px-3.5 pb-3.5' : 'p-3.5')}>{children}</div>
    </section>
  )
}

/** Figures side by side, divided by rules. */
export function Stats({ children, className }: { children: ReactNode; className?: string }) {
  return <dl className={cn('panel grid grid-cols-2 gap-px overflow-hidden bg-line sm:grid-cols-[repeat(auto-fit,minmax(150px,1fr))]', className)}>{children}</dl>
}

export function Stat({ label, value, sub, tone }: { label: ReactNode; value: ReactNode; sub?: ReactNode; tone?: 'ok' | 'warn' | 'bad' }) {
  return (
    <div className="min-w-0 bg-panel px-3.5 py-2.5">
      <dt className="truncate text-xs text-ink-3">{label}</dt>
      <dd className="m-0">
        <span className={cn('block truncate text-[22px] leading-8 font-semibold tracking-[-0.02em]', tone === 'bad' && 'text-bad', tone === 'warn' && 'text-warn', tone === 'ok' && 'text-ok')}>{value}</span>
        {sub !== undefined && <span className="block truncate text-xs text-ink-3">{sub}</span>}
      </dd>
    </div>
  )
}

/** Names and values in columns, for facts about one thing. */
export function Facts({ items, columns = 2 }: { items: { label: ReactNode; value: ReactNode; title?: string }[]; columns?: 1 | 2 | 3 }) {
  return (
    <dl className={cn('grid gap-x-8', columns === 3 ? 'sm:grid-cols-2 xl:grid-cols-3' : columns === 2 ? 'sm:grid-cols-2' : '')}>
      {items.map((f, i) => (
        <div key={i} title={f.title} className="flex min-w-0 items-baseline justify-between gap-4 border-b border-line/70 py-1.5">
          <dt className="shrink-0 text-ink-3">{f.label}</dt>
          <dd className="m-0 min-w-0 text-right break-words">{f.value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** Says that there is nothing, why, and what to do next. */
export function EmptyState({ title, children, action, icon: Icon = Inbox }: { title: ReactNode; children?: ReactNode; action?: ReactNode; icon?: typeof Inbox }) {
  return (
    <div className="flex flex-col items-center gap-1 px-6 py-12 text-center">
      <Icon aria-hidden strokeWidth={1.5} className="mb-2 size-7 text-ink-3" />
      <div className="font-medium">{title}</div>
      {children && <div className="max-w-md text-ink-3">{children}</div>}
      {action && <div className="mt-3 flex gap-2">{action}</div>}
    </div>
  )
}

export function Skeleton({ className, lines = 1 }: { className?: string; lines?: number }) {
  return (
    <div aria-hidden className="flex flex-col gap-2">
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className={cn('skeleton h-4', i % 3 === 1 ? 'w-4/5' : i % 3 === 2 ? 'w-2/3' : 'w-full', className)} />
      ))}
    </div>
  )
}

/** A share as a thin bar with its figure; tone by the limits (shares of 1). */
export function Meter({ value, text, warn = 0.75, bad = 0.9, label }: { value: number | null | undefined; text: string; warn?: number; bad?: number; label: string }) {
  const v = value ?? 0
  return (
    <span className="inline-flex w-full min-w-24 items-center gap-2">
      <span role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(v * 100)} aria-valuetext={text} className="h-1.5 min-w-10 flex-1 overflow-hidden rounded-full bg-line">
        <span className={cn('block h-full rounded-full', v >= bad ? 'bg-bad' : v >= warn ? 'bg-warn' : 'bg-accent')} style={{ width: `${Math.min(100, v * 100)}%` }} />
      </span>
      <span className="w-12 text-right">{text}</span>
    </span>
  )
}
