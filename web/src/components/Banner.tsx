import { TriangleAlert } from 'lucide-react'
import type { S } from '@/api/types'
import { useMaybeT, useT } from '@/i18n'

/** Says which nodes did not answer, while the rest of the page works. */
export function PartialBanner({ errors }: { errors: S['NodeError'][] | undefined }) {
  const t = useT()
  const maybe = useMaybeT()
  if (!errors || errors.length === 0) return null
  return (
    <div role="status" className="flex items-start gap-2.5 rounded-md border border-warn/40 bg-warn-soft px-3.5 py-2.5">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-warn" />
      <div className="min-w-0">
        <div className="font-medium text-warn">{t('common.partial', { count: errors.length })}</div>
        <ul className="mt-0.5 text-ink-2">
          {errors.slice(0, 5).map((e, i) => (
            <li key={i} className="break-words">
              <span className="name text-ink">{e.node}</span> {maybe(`errors.${e.code}`) ?? ''} <span className="text-ink-2">{e.detail}</span>
            </li>
          ))}
          {errors.length > 5 && <li>{t('common.more', { count: errors.length - 5 })}</li>}
        </ul>
      </div>
    </div>
  )
}
