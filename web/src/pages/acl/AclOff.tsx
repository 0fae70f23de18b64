import { ShieldOff } from 'lucide-react'
import { Problem } from '@/api/problem'
import { EmptyState, Panel } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'

/** Brokers without ACL 2.0 answer its requests with an error; what to do about it stands below. */
export function AclOff({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const t = useT()
  return (
    <>
      <ProblemBox error={error} onRetry={onRetry} />
      {error instanceof Problem && error.body.remotingCode !== undefined && (
        <Panel>
          <EmptyState icon={ShieldOff} title={t('acl.off')}>{t('acl.offHint')}</EmptyState>
        </Panel>
      )}
    </>
  )
}
