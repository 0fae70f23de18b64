import { Link, useRouter, type ErrorComponentProps } from '@tanstack/react-router'
import { Compass } from 'lucide-react'
import { EmptyState } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'

export function NotFound() {
  const t = useT()
  return (
    <div className="grid min-h-[60vh] place-items-center">
      <EmptyState icon={Compass} title={t('shell.notFound')} action={<Link to="/" className="btn">{t('shell.toStart')}</Link>}>
        {t('shell.notFoundHint')}
      </EmptyState>
    </div>
  )
}

/** A page that failed to load or to draw: the shell around it goes on working. */
export function PageError({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  return (
    <div className="p-6">
      <ProblemBox
        error={error}
        onRetry={() => {
          reset()
          void router.invalidate()
        }}
      />
    </div>
  )
}
