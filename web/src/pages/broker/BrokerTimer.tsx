import { AlarmClockOff } from 'lucide-react'
import { useApi } from '@/api/hooks'
import { DataTable } from '@/components/DataTable'
import { EmptyState, Panel, Skeleton, Stat, Stats } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { toBig, useFormats } from '@/lib/format'

export function BrokerTimer({ params }: { params: { cluster: string; broker: string; id: string } }) {
  const t = useT()
  const f = useFormats()
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}/timer', { params, every: 5_000 })
  const d = q.data
  if (q.error && !d) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!d) return <Skeleton lines={4} />
  if (!d.supported) return <Panel><EmptyState icon={AlarmClockOff} title={t('brokers.timerOff')} /></Panel>
  return (
    <>
      <Stats>
        <Stat label={t('brokers.timerBacklog')} value={f.int(d.backlog)} />
        <Stat label={t('brokers.timerDelivered')} value={f.ago(d.delivered)} sub={f.time(d.delivered)} />
        <Stat label={t('brokers.timerReadAt')} value={f.ago(d.readTime)} sub={f.time(d.readTime)} />
      </Stats>
      <Panel title={t('brokers.timerTopics')} flush>
        <DataTable
          plain
          id="timer"
          label={t('brokers.timerTopics')}
          rows={d.topics}
          rowKey={(r) => r.topic}
          sort="-count"
          columns={[
            { id: 'topic', label: t('common.topic'), value: (r) => r.topic, format: 'name' },
            { id: 'count', label: t('brokers.count'), value: (r) => toBig(r.count), format: 'int' },
            { id: 'updated', label: t('common.time'), value: (r) => r.updated, format: 'ago' },
          ]}
          empty={<p className="px-4 py-6 text-center text-ink-3">{t('brokers.timerEmpty')}</p>}
        />
      </Panel>
    </>
  )
}
