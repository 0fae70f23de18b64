import { X } from 'lucide-react'
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { Button } from './Form'
import { useProblemText } from './Problem'

/** A modal window on the browser's own <dialog>: it holds the focus, closes by Esc and gives the focus back. */
export function Dialog({ title, onClose, children, footer, width = 'max-w-lg', locked }: {
  title: ReactNode
  onClose: () => void
  children: ReactNode
  footer?: ReactNode
  width?: string
  /** Cannot be closed: something is under way. */
  locked?: boolean
}) {
  const t = useT()
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const d = ref.current
    const back = document.activeElement
    if (d && !d.open) d.showModal()
    return () => {
      d?.close()
      if (back instanceof HTMLElement && back.isConnected) back.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(e) => {
        e.preventDefault()
        if (!locked) onClose()
      }}
      onClick={(e) => {
        if (e.target === ref.current && !locked) onClose()
      }}
      className={cn('w-[calc(100vw-2rem)] rounded-lg bg-panel p-0 shadow-(--shadow-pop)', width)}
    >
      <div className="flex max-h-[calc(100dvh-4rem)] flex-col">
        <div className="flex items-center justify-between gap-4 border-b px-4 py-3">
          <h2 id={titleId} className="text-base font-semibold">{title}</h2>
          <button type="button" disabled={locked} aria-label={t('common.close')} className="btn btn-icon btn-sm btn-quiet -mr-1" onClick={onClose}>
            <X aria-hidden className="size-4" />
          </button>
        </div>
        <div className="min-h-0 overflow-y-auto p-4">{children}</div>
        {footer && <div className="flex flex-wrap justify-end gap-2 border-t bg-sunken px-4 py-3">{footer}</div>}
      </div>
    </dialog>
  )
}

/** Asks before something that cannot be undone. With type, the name must be typed. The children say the effect, in
 *  numbers. act is awaited; its problem is shown inside. */
export function Confirm({ title, children, type, action, danger = true, act, onClose }: {
  title: ReactNode
  children: ReactNode
  type?: string
  /** The words on the button: what happens, not "OK". */
  action: string
  danger?: boolean
  act: () => Promise<unknown>
  onClose: () => void
}) {
  const t = useT()
  const text = useProblemText()
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const id = useId()
  const allowed = !type || typed === type
  const run = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await act()
      onClose()
    } catch (e) {
      setError(e)
      setBusy(false)
    }
  }
  return (
    <Dialog
      title={title}
      onClose={onClose}
      locked={busy}
      footer={
        <>
          <Button onClick={onClose} disabled={busy}>{t('common.cancel')}</Button>
          <Button kind={danger ? 'danger' : 'primary'} busy={busy} disabled={!allowed} onClick={() => void run()}>{action}</Button>
        </>
      }
    >
      <form
        className="flex flex-col gap-3"
        onSubmit={(e) => {
          e.preventDefault()
          if (allowed && !busy) void run()
        }}
      >
        {children}
        {type && (
          <label htmlFor={id} className="flex flex-col gap-1.5">
            <span>
              {t('common.typeToConfirm')} <b className="name break-all select-all">{type}</b>
            </span>
            <input id={id} className="input name" autoComplete="off" spellCheck={false} value={typed} onChange={(e) => setTyped(e.target.value)} />
          </label>
        )}
        {error !== undefined && <div role="alert" className="rounded bg-bad-soft px-3 py-2 text-bad">{text(error)}</div>}
      </form>
    </Dialog>
  )
}
