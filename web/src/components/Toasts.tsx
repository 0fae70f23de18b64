import { CircleAlert, CircleCheck, Info, X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'

type Kind = 'ok' | 'bad' | 'info'
interface Toast {
  id: number
  kind: Kind
  text: string
}

let items: Toast[] = []
let next = 1
const listeners = new Set<() => void>()

function set(changed: Toast[]) {
  items = changed
  for (const l of listeners) l()
}

/** Says something in the corner. Problems stay until closed, the rest goes after 6 s. */
export function toast(kind: Kind, text: string) {
  const id = next++
  set([...items.filter((t) => t.text !== text).slice(-4), { id, kind, text }])
  if (kind !== 'bad') setTimeout(() => close(id), 6_000)
}

function close(id: number) {
  set(items.filter((t) => t.id !== id))
}

const icons = { ok: CircleCheck, bad: CircleAlert, info: Info }
const colours = { ok: 'text-ok', bad: 'text-bad', info: 'text-info' }

export function Toasts() {
  const t = useT()
  const list = useSyncExternalStore(
    (l) => {
      listeners.add(l)
      return () => listeners.delete(l)
    },
    () => items,
  )
  return (
    <div className="fixed right-4 bottom-4 z-70 flex w-96 max-w-[calc(100vw-2rem)] flex-col gap-2" role="status" aria-live="polite">
      {list.map((item) => {
        const Icon = icons[item.kind]
        return (
          <div key={item.id} className="flex items-start gap-2.5 rounded-lg bg-raised p-3 shadow-(--shadow-pop)">
            <Icon aria-hidden className={cn('mt-px size-4 shrink-0', colours[item.kind])} />
            <span className="min-w-0 flex-1 break-words">{item.text}</span>
            <button type="button" className="-m-1 rounded p-1 text-ink-3 hover:text-ink" aria-label={t('common.close')} onClick={() => close(item.id)}>
              <X aria-hidden className="size-3.5" />
            </button>
          </div>
        )
      })}
    </div>
  )
}
