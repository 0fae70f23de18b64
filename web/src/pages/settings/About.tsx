import { useApi } from '@/api/hooks'
import { Facts, Panel, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { Mark } from '@/shell/Mark'

export function About() {
  const t = useT()
  const f = useFormats()
  const q = useApi('/settings')
  const d = q.data
  if (q.error && !d) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!d) return <Skeleton lines={6} />
  const mono = (s: string | undefined) => <span className="name">{s || '–'}</span>
  return (
    <Panel className="max-w-3xl">
      <div className="mb-3 flex items-center gap-3">
        <span className="grid size-10 place-items-center rounded-lg bg-night">
          <Mark className="size-7" />
        </span>
        <div>
          <div className="text-base font-semibold">CometMQ</div>
          <div className="name text-ink-3">{d.version}</div>
        </div>
      </div>
      <Facts
        items={[
          { label: t('settings.commit'), value: mono(d.commit?.slice(0, 12)) },
          { label: t('settings.started'), value: <time title={f.time(d.started)}>{f.ago(d.started)}</time> },
          { label: t('settings.listen'), value: mono(d.listen) },
          { label: t('settings.basePath'), value: mono(d.basePath) },
          { label: t('settings.authenticator'), value: t(`settings.auth_${d.authenticator}`) },
          { label: t('settings.auditDays'), value: t('settings.days', { count: d.auditDays }) },
          { label: t('settings.nameServers'), value: mono(d.nameServers.join(' ')) },
          { label: t('settings.prometheus'), value: mono(d.prometheus) },
        ]}
      />
    </Panel>
  )
}
