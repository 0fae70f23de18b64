import { Link } from '@tanstack/react-router'
import { useApi } from '@/api/hooks'
import { DataTable } from '@/components/DataTable'
import { Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { toBig } from '@/lib/format'

/** How far all groups are on this broker, from one request. */
export function BrokerGroups({ params }: { params: { cluster: string; broker: string; id: string } }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}/consumeStats', { params, every: 10_000 })
  return (
    <Panel flush>
      <DataTable
        id={`groups-${params.broker}`}
        label={t('brokers.tabGroups')}
        rows={q.data?.items}
        rowKey={(r) => `${r.group}@${r.topic}`}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="-lag"
        columns={[
          { id: 'group', label: t('brokers.group'), value: (r) => r.group, cell: (r) => <Link to="/c/$c/groups/$g" params={{ c: params.cluster, g: r.group } as never} className="link name">{r.group}</Link> },
          { id: 'topic', label: t('common.topic'), value: (r) => r.topic, format: 'name' },
          { id: 'lag', label: t('overview.lag'), value: (r) => toBig(r.lag), format: 'int' },
          { id: 'inflight', label: t('brokers.inflight'), value: (r) => toBig(r.inflight), format: 'int' },
          { id: 'tps', label: t('brokers.outTps'), value: (r) => r.tps, format: 'rate' },
          { id: 'last', label: t('groups.lastConsume'), value: (r) => r.lastConsume, format: 'ago' },
        ]}
      />
    </Panel>
  )
}
