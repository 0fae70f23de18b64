import { CircleAlert, RotateCw } from 'lucide-react'
import { useCallback } from 'react'
import { Problem } from '@/api/problem'
import { useMaybeT, useT } from '@/i18n'
import { usePrefs } from '@/lib/prefs'

/** Turns an error into a sentence of the user's language: the server sends a code, the catalogue has the words, and
 *  what the server adds in English stands behind. */
export function useProblemText(): (e: unknown) => string {
  const maybe = useMaybeT()
  const { lang } = usePrefs()
  return useCallback(
    (e: unknown) => {
      if (!(e instanceof Problem)) return e instanceof Error ? e.message : String(e)
      const known = maybe(`errors.${e.code}`)
      const general = known ?? maybe(`errors.http_${e.status}`) ?? e.body.title
      // What the server adds is English: it says more than our words for those who read English, and to the others only
      // where we have no words of our own.
      const text = lang === 'en' ? (e.body.detail && e.status < 500 ? e.body.detail : [general, e.body.detail].filter(Boolean).join(' ')) : known ?? [general, e.body.detail].filter(Boolean).join(' ')
      return e.body.node ? `${text} (${e.body.node})` : text
    },
    [maybe, lang],
  )
}

/** In place of what could not be loaded. */
export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useT()
  const text = useProblemText()
  const p = error instanceof Problem ? error.body : undefined
  if (p?.status === 501 || p?.code === 'noSuchRoute') return <p className="px-2 py-8 text-center text-ink-3">{text(error)}</p> // not offered here, nothing is broken
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
