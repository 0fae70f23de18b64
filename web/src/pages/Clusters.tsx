import { Link, Navigate } from '@tanstack/react-router'
import { Orbit } from 'lucide-react'
import { useApi } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable, type Column } from '@/components/DataTable'
import { EmptyState, Meter, Page, Panel } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useT, type T } from '@/i18n'

/** The start page: all clusters, or the only one at once. */
export default function Clusters() {
  const t = useT()
  const clusters = useApi('/clusters', { every: 10_000 })
  const items = clusters.data?.items
  if (items?.length === 1) return <Navigate to="/c/$c" params={{ c: items[0]!.name } as never} replace />
  return (
    <Page title={t('clusters.title')}>
      <PartialBanner errors={clusters.data?.errors} />
      <Panel flush>
        <DataTable
          id="clusters"
          label={t('clusters.title')}
          columns={columns(t)}
          rows={items}
          rowKey={(r) => r.name}
          error={clusters.error}
          onRetry={() => void clusters.refetch()}
          sort="name"
          empty={
            <EmptyState icon={Orbit} title={t('clusters.empty')}>
              {t('clusters.emptyHint')}
            </EmptyState>
          }
        />
      </Panel>
    </Page>
  )
}

function columns(t: T): Column<S['Cluster']>[] {
  return [
    {
      id: 'name',
      label: t('common.cluster'),
      value: (r) => r.name,
      cell: (r) => (
        <Link to="/c/$c" params={{ c: r.name } as never} className="link font-medium">
          {r.name}
        </Link>
      ),
    },
    {
      id: 'state',
      label: t('common.state'),
      value: (r) => r.withoutMaster.length,
      cell: (r) =>
        r.withoutMaster.length > 0 ? (
          <StatusBadge tone="bad" title={r.withoutMaster.join(', ')}>{t('clusters.noMaster')}: {r.withoutMaster.length}</StatusBadge>
        ) : r.errors?.length ? (
          <StatusBadge tone="warn" title={r.errors.map((e) => e.node).join(', ')}>{t('common.offline')}: {r.errors.length}</StatusBadge>
        ) : (
          <StatusBadge tone="ok">{t('common.online')}</StatusBadge>
        ),
    },
    { id: 'sets', label: t('clusters.sets'), value: (r) => r.brokerSets, format: 'int' },
    { id: 'brokers', label: t('clusters.brokers'), value: (r) => r.brokers, format: 'int' },
    { id: 'in', label: t('clusters.in'), value: (r) => r.inTps, format: 'rate' },
    { id: 'out', label: t('clusters.out'), value: (r) => r.outTps, format: 'rate' },
    { id: 'lag', label: t('clusters.lag'), value: (r) => (r.lag === undefined ? undefined : BigInt(r.lag)), format: 'int' },
    { id: 'disk', label: t('clusters.disk'), value: (r) => r.maxDiskRatio, cell: (r, f) => (r.maxDiskRatio === undefined ? '–' : <Meter label={t('clusters.disk')} value={r.maxDiskRatio} text={f.percent(r.maxDiskRatio)} />) },
    { id: 'versions', label: t('clusters.versions'), value: (r) => r.versions?.join(', '), className: 'text-ink-2' },
  ]
}
