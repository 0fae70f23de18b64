import { useQuery } from '@tanstack/react-query'
import { useId, useState } from 'react'
import type { S } from '@/api/types'
import { useMaybeT, useT } from '@/i18n'
import { Dialog } from './Dialog'
import { Button } from './Form'
import { ProblemBox, useProblemText } from './Problem'
import { StatusBadge, Tag } from './Status'

/** Whether a change of the key counts at once. */
export function LiveTag({ entry: e }: { entry: S['ConfigEntry'] }) {
  const t = useT()
  if (e.known === false) return <Tag tone="warn">{t('brokers.configUnknown')}</Tag>
  return <Tag tone={e.live ? 'accent' : undefined}>{t(e.live ? 'brokers.configLive' : 'brokers.configRestart')}</Tag>
}

/** The differences, checked by the server before; afterwards what it has taken and what not. */
export function ConfigReview({ entries, draft, run, onApplied, onClose }: {
  entries: S['ConfigEntry'][]
  draft: Record<string, string>
  run: (dryRun: boolean) => Promise<S['ChangeResult']>
  onApplied: (r: S['ChangeResult']) => void
  onClose: () => void
}) {
  const t = useT()
  const maybe = useMaybeT()
  const text = useProblemText()
  const id = useId()
  // What was asked for: the table below forgets what has been applied.
  const [asked] = useState(() => entries.map((e) => ({ entry: e, after: draft[e.key] ?? '' })))
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const [result, setResult] = useState<S['ChangeResult'] | null>(null)
  const plan = useQuery({ queryKey: ['plan', id], queryFn: () => run(true), retry: false, staleTime: Infinity, gcTime: 0, refetchOnWindowFocus: false })
  const restart = asked.some(({ entry }) => !entry.live)
  const apply = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const r = await run(false)
      setResult(r)
      onApplied(r)
    } catch (e) {
      setError(e)
    }
    setBusy(false)
  }
  return (
    <Dialog
      title={result ? t('config.applied') : t('config.reviewTitle', { count: asked.length })}
      onClose={onClose}
      width="max-w-3xl"
      locked={busy}
      footer={
        result ? (
          <Button kind="primary" onClick={onClose}>{t('common.close')}</Button>
        ) : (
          <>
            <Button onClick={onClose} disabled={busy}>{t('common.cancel')}</Button>
            <Button kind="primary" busy={busy} disabled={!plan.data} onClick={() => void apply()}>{t('common.apply')}</Button>
          </>
        )
      }
    >
      <ul className="m-0 flex list-none flex-col gap-3 p-0" aria-live="polite">
        {asked.map(({ entry: e, after }) => {
          const step = result?.steps.find((s) => s.target === e.key)
          return (
            <li key={e.key} className="rounded-md border">
              <div className="flex flex-wrap items-center gap-2 px-3 py-1.5">
                <span className="name font-semibold break-all">{e.key}</span>
                <LiveTag entry={e} />
                {step && <StatusBadge tone={step.done ? 'ok' : 'bad'}>{step.done ? t('config.taken') : t('config.refused')}</StatusBadge>}
              </div>
              <div className="name border-t bg-bad-soft px-3 py-1 break-all"><span aria-hidden>− </span><span className="sr-only">{t('config.before')} </span>{e.secret ? '••••••' : e.value || '""'}</div>
              <div className="name bg-ok-soft px-3 py-1 break-all"><span aria-hidden>+ </span><span className="sr-only">{t('config.after')} </span>{e.secret ? '••••••' : after || '""'}</div>
              {step?.error && <div className="px-3 py-1 text-bad">{maybe(`errors.${step.error.code}`)} {step.error.detail}</div>}
              {step?.remark && <div className="px-3 py-1 text-ink-2">{step.remark}</div>}
            </li>
          )
        })}
      </ul>
      {restart && <p className="mt-3 text-warn">{t('config.needsRestart')}</p>}
      {plan.error && <div className="mt-3"><ProblemBox error={plan.error} onRetry={() => void plan.refetch()} /></div>}
      {error !== undefined && <div role="alert" className="mt-3 rounded bg-bad-soft px-3 py-2 text-bad">{text(error)}</div>}
    </Dialog>
  )
}
