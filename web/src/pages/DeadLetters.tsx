import { Link } from '@tanstack/react-router'
import { MailCheck } from 'lucide-react'
import { useCluster, useList } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { toBig } from '@/lib/format'

export default function DeadLetters() {
  const t = useT()
  const c = useCluster()
  const q = useList('/clusters/{cluster}/dlq', { every: 10_000, keep: true })
  return (
    <Page title={t('dlq.title')}>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          id="dlq"
          label={t('dlq.title')}
          rows={q.data?.items}
          rowKey={(r) => r.group}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="-messages"
          columns={[
            { id: 'group', label: t('common.group'), value: (r) => r.group, cell: (r) => <Link className="link name" to="/c/$c/dlq/$g" params={{ c, g: r.group } as never}>{r.group}</Link> },
            { id: 'messages', label: t('dlq.messages'), value: (r) => toBig(r.messages), format: 'int' },
            { id: 'last', label: t('dlq.last'), value: (r) => r.lastUpdate, format: 'ago' },
            { id: 'brokers', label: t('common.broker'), value: (r) => r.brokers.join(', '), format: 'name' },
            { id: 'topic', label: t('common.topic'), value: (r) => r.topic, format: 'name', hidden: true },
          ]}
          empty={<EmptyState icon={MailCheck} title={t('dlq.empty')}>{t('dlq.emptyHint')}</EmptyState>}
        />
      </Panel>
    </Page>
  )
}
