import { Link } from '@tanstack/react-router'
import { Server } from 'lucide-react'
import { useMemo } from 'react'
import { useCluster, useList } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable, type Column } from '@/components/DataTable'
import { EmptyState, Meter, Page, Panel } from '@/components/Layout'
import { StatusBadge, Tag } from '@/components/Status'
import { useT, type T } from '@/i18n'
import { toBig, UNKNOWN } from '@/lib/format'

export default function Brokers() {
  const t = useT()
  const cluster = useCluster()
  const brokers = useList('/clusters/{cluster}/brokers', { every: 5_000 })
  const columns = useMemo(() => brokerColumns(t, cluster), [t, cluster])
  return (
    <Page title={t('brokers.title')}>
      <PartialBanner errors={brokers.data?.errors} />
      <Panel flush>
        <DataTable
          id="brokers"
          label={t('brokers.title')}
          columns={columns}
          rows={brokers.data?.items}
          total={brokers.data?.total}
          rowKey={(r) => `${r.name}/${r.id}`}
          error={brokers.error}
          onRetry={() => void brokers.refetch()}
          sort="name"
          empty={
            <EmptyState icon={Server} title={t('brokers.empty')}>
              {t('brokers.emptyHint')}
            </EmptyState>
          }
        />
      </Panel>
    </Page>
  )
}

export function BrokerState({ broker: b }: { broker: S['Broker'] }) {
  const t = useT()
  return <StatusBadge tone={b.reachable ? 'ok' : 'bad'}>{t(b.reachable ? 'brokers.reachable' : 'brokers.unreachable')}</StatusBadge>
}

export function BrokerRole({ role }: { role: S['Broker']['role'] }) {
  const t = useT()
  return <Tag tone={role === 'master' ? 'accent' : role === 'actingMaster' ? 'warn' : undefined}>{t(`brokers.role_${role}`)}</Tag>
}

function brokerColumns(t: T, cluster: string): Column<S['Broker']>[] {
  return [
    {
      id: 'name',
      label: t('common.broker'),
      value: (r) => `${r.name} ${r.id}`,
      cell: (r) => (
        <Link to="/c/$c/brokers/$name/$id" params={{ c: cluster, name: r.name, id: String(r.id) } as never} className="link name">
          {r.name} <span className="text-ink-3">/ {r.id}</span>
        </Link>
      ),
    },
    { id: 'role', label: t('brokers.role'), value: (r) => t(`brokers.role_${r.role}`), cell: (r) => <BrokerRole role={r.role} /> },
    { id: 'state', label: t('common.state'), value: (r) => (r.reachable ? 1 : 0), cell: (r) => <BrokerState broker={r} /> },
    { id: 'addr', label: t('common.address'), value: (r) => r.addr, format: 'name' },
    { id: 'version', label: t('common.version'), value: (r) => r.version, cell: (r) => (r.version ? `${r.version}${r.product === 'java' ? ' Java' : ''}` : UNKNOWN) },
    { id: 'inTps', label: t('brokers.inTps'), value: (r) => r.inTps, format: 'rate' },
    { id: 'outTps', label: t('brokers.outTps'), value: (r) => r.outTps, format: 'rate' },
    { id: 'inToday', label: t('brokers.inToday'), value: (r) => toBig(r.inToday), format: 'int' },
    { id: 'outToday', label: t('brokers.outToday'), value: (r) => toBig(r.outToday), format: 'int' },
    { id: 'inYesterday', label: t('brokers.inYesterday'), value: (r) => toBig(r.inYesterday), format: 'int', hidden: true },
    { id: 'outYesterday', label: t('brokers.outYesterday'), value: (r) => toBig(r.outYesterday), format: 'int', hidden: true },
    { id: 'disk', label: t('brokers.disk'), value: (r) => r.diskRatio, cell: (r, f) => (r.diskRatio === undefined ? UNKNOWN : <Meter label={t('brokers.disk')} value={r.diskRatio} text={f.percent(r.diskRatio)} />) },
    { id: 'ha', label: t('brokers.ha'), value: (r) => toBig(r.haBehindBytes), format: 'bytes' },
    { id: 'dispatch', label: t('brokers.dispatch'), value: (r) => toBig(r.dispatchBehindBytes), format: 'bytes', hidden: true },
    { id: 'earliest', label: t('brokers.earliest'), value: (r) => r.earliestMessage, format: 'ago' },
    { id: 'started', label: t('brokers.uptime'), value: (r) => r.started, format: 'ago', hidden: true },
  ]
}
