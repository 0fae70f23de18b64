import { CircleAlert, RotateCw } from 'lucide-react'
import { useCallback } from 'react'
import { Problem } from '@/api/problem'
import { useMaybeT, useT } from '@/i18n'

/** Turns an error into a sentence of the user's language: the server sends a code, the catalogue has the words, and
 *  what the server adds in English stands behind. */
export function useProblemText(): (e: unknown) => string {
  const maybe = useMaybeT()
  return useCallback(
    (e: unknown) => {
      if (!(e instanceof Problem)) return e instanceof Error ? e.message : String(e)
      const words = maybe(`errors.${e.code}`) ?? maybe(`errors.http_${e.status}`) ?? e.body.title
      const detail = e.body.detail && e.body.detail !== words ? e.body.detail : ''
      return [words, detail, e.body.node && `(${e.body.node})`].filter(Boolean).join(' ')
    },
    [maybe],
  )
}

/** In place of what could not be loaded. */
export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useT()
  const text = useProblemText()
  const p = error instanceof Problem ? error.body : undefined
  return (
    <div role="alert" className="panel flex items-start gap-3 border-l-3 border-l-bad p-4">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      <div className="min-w-0 flex-1">
        <div className="font-medium break-words">{text(error)}</div>
        {p && (p.remotingCode !== undefined || p.traceId) && (
          <div className="name mt-1 text-ink-3">
            {p.code}
            {p.remotingCode !== undefined && ` · ${t('common.remotingCode')} ${p.remotingCode}`}
            {p.traceId && ` · ${p.traceId}`}
          </div>
        )}
      </div>
      {onRetry && (
        <button type="button" className="btn btn-sm" onClick={onRetry}>
          <RotateCw aria-hidden className="size-3.5" />
          {t('common.retry')}
        </button>
      )}
    </div>
  )
}
