import { CircleAlert, CircleCheck, CircleDashed, CircleHelp, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'idle' | 'unknown'
const look: Record<Tone, { icon: typeof Info; text: string; chip: string }> = {
  ok: { icon: CircleCheck, text: 'text-ok', chip: 'bg-ok-soft text-ok' },
  warn: { icon: TriangleAlert, text: 'text-warn', chip: 'bg-warn-soft text-warn' },
  bad: { icon: CircleAlert, text: 'text-bad', chip: 'bg-bad-soft text-bad' },
  info: { icon: Info, text: 'text-info', chip: 'bg-info-soft text-info' },
  idle: { icon: CircleDashed, text: 'text-ink-3', chip: 'bg-sunken text-ink-2' },
  unknown: { icon: CircleHelp, text: 'text-ink-3', chip: 'bg-sunken text-ink-2' },
}

/** A state: always colour, icon and word together. */
export function StatusBadge({ tone, children, chip, title }: { tone: Tone; children: ReactNode; chip?: boolean; title?: string }) {
  const { icon: Icon, text, chip: bg } = look[tone]
  return (
    <span title={title} className={cn('inline-flex items-center gap-1.5 whitespace-nowrap', chip ? cn('rounded px-1.5 py-px text-xs font-medium', bg) : '')}>
      <Icon aria-hidden className={cn('size-3.5 shrink-0', !chip && text)} />
      {children}
    </span>
  )
}

/** A kind (topic type, role, protocol): a word in a quiet frame. */
export function Tag({ children, tone, title }: { children: ReactNode; tone?: 'accent' | 'comet' | 'warn' | 'bad'; title?: string }) {
  return (
    <span
      title={title}
      className={cn(
        'inline-flex h-[18px] items-center rounded-sm border px-1.5 text-2xs font-medium whitespace-nowrap',
        tone === 'accent' ? 'border-accent/35 text-accent' : tone === 'comet' || tone === 'warn' ? 'border-warn/40 text-warn' : tone === 'bad' ? 'border-bad/40 text-bad' : 'border-line-strong text-ink-2',
      )}
    >
      {children}
    </span>
  )
}
