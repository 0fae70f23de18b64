import { useQuery } from '@tanstack/react-query'
import { useId, type ReactNode } from 'react'
import type { S } from '@/api/types'
import { useT } from '@/i18n'
import { Confirm } from './Dialog'
import { Skeleton } from './Layout'
import { ProblemBox } from './Problem'

/** Confirm that first asks the server, by a dry run, what would be done, and shows the steps. */
export function PlanConfirm({ run, children, ...rest }: {
  title: ReactNode
  children?: ReactNode
  /** The name to type. */
  type?: string
  action: string
  danger?: boolean
  run: (dryRun: boolean) => Promise<S['ChangeResult']>
  /** After it was done. */
  onDone: (r: S['ChangeResult']) => void
  onClose: () => void
}) {
  const t = useT()
  const id = useId()
  const plan = useQuery({ queryKey: ['plan', id], queryFn: () => run(true), retry: false, staleTime: Infinity, gcTime: 0 })
  const act = async () => {
    if (!plan.data) return
    rest.onDone(await run(false))
  }
  return (
    <Confirm {...rest} act={act}>
      {children}
      {plan.error ? (
        <ProblemBox error={plan.error} onRetry={() => void plan.refetch()} />
      ) : !plan.data ? (
        <div aria-live="polite">
          <span className="sr-only">{t('plan.looking')}</span>
          <Skeleton lines={3} />
        </div>
      ) : (
        <Steps result={plan.data} />
      )}
    </Confirm>
  )
}

export function Steps({ result }: { result: S['ChangeResult'] }) {
  const t = useT()
  if (result.steps.length === 0) return <p className="text-ink-2">{t('plan.nothing')}</p>
  return (
    <div>
      <p className="mb-1.5">{t('plan.effect', { count: result.steps.length })}</p>
      <ul className="m-0 max-h-48 list-none overflow-y-auto rounded border bg-sunken p-0">
        {result.steps.map((s, i) => (
          <li key={i} className="flex flex-wrap items-baseline gap-x-2 border-b px-2.5 py-1 last:border-0">
            <span className="name text-ink-3">{s.node}</span>
            <span className="name">{s.action}</span>
            <span className="name break-all text-ink-2">{s.target}</span>
            {(s.before !== undefined || s.after !== undefined) && (
              <span className="name text-ink-3">
                {s.before} → {s.after}
              </span>
            )}
            {s.remark && <span className="text-xs text-ink-3">{s.remark}</span>}
          </li>
        ))}
      </ul>
    </div>
  )
}
