import { Link } from '@tanstack/react-router'
import { Plus, Users } from 'lucide-react'
import { useMemo, useState } from 'react'
import { useCluster, useList } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable, type Column } from '@/components/DataTable'
import { Button, Pick } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { StatusBadge, Tag } from '@/components/Status'
import { useT, type T } from '@/i18n'
import { toBig, toNum } from '@/lib/format'
import { useUrlState } from '@/lib/url'
import { GroupDialog } from './group/GroupDialog'

export default function Groups() {
  const t = useT()
  const cluster = useCluster()
  const may = useMay('operator')
  const [type, setType] = useUrlState('type')
  const [creating, setCreating] = useState(false)
  const groups = useList('/clusters/{cluster}/groups', { query: { type: type || undefined }, every: 10_000, keep: true })
  const columns = useMemo(() => groupColumns(t, cluster), [t, cluster])
  const create = may && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      <Plus aria-hidden className="size-4" />
      {t('groups.create')}
    </Button>
  )
  return (
    <Page title={t('groups.title')} actions={create}>
      <PartialBanner errors={groups.data?.errors} />
      <Panel flush>
        <DataTable
          id="groups"
          label={t('groups.title')}
          columns={columns}
          rows={groups.data?.items}
          total={groups.data?.total}
          rowKey={(r) => r.name}
          error={groups.error}
          onRetry={() => void groups.refetch()}
          sort="-lag"
          tools={
            <Pick
              label={t('groups.types')}
              value={type}
              onChange={setType}
              options={[
                { value: '', label: t('groups.typesUser') },
                { value: 'normal', label: t('groups.type_normal') },
                { value: 'fifo', label: t('groups.type_fifo') },
                { value: 'system', label: t('groups.type_system') },
                { value: 'normal,fifo,system', label: t('groups.typesAll') },
              ]}
            />
          }
          empty={
            <EmptyState icon={Users} title={t('groups.empty')} action={create}>
              {t('groups.emptyHint')}
            </EmptyState>
          }
        />
      </Panel>
      {creating && <GroupDialog onClose={() => setCreating(false)} />}
    </Page>
  )
}

/** Whether somebody consumes. Not known is a state of its own: old brokers cannot say it for all groups at once. */
export function GroupState({ online, enabled, clients }: { online: boolean | undefined; enabled?: boolean; clients?: number }) {
  const t = useT()
  if (enabled === false) return <StatusBadge tone="warn">{t('groups.disabled')}</StatusBadge>
  const on = online ?? (clients === undefined ? undefined : clients > 0)
  return <StatusBadge tone={on === undefined ? 'unknown' : on ? 'ok' : 'idle'}>{t(on === undefined ? 'groups.unknown' : on ? 'groups.online' : 'groups.offline')}</StatusBadge>
}

function groupColumns(t: T, cluster: string): Column<S['Group']>[] {
  return [
    {
      id: 'name',
      label: t('common.group'),
      value: (r) => r.name,
      cell: (r) => (
        <Link to="/c/$c/groups/$g" params={{ c: cluster, g: r.name } as never} className="link name">
          {r.name}
        </Link>
      ),
    },
    { id: 'state', label: t('groups.state'), value: (r) => (r.consumeEnable === false ? 3 : r.online === undefined ? 2 : r.online ? 0 : 1), cell: (r) => <GroupState online={r.online} enabled={r.consumeEnable} /> },
    { id: 'type', label: t('common.type'), value: (r) => t(`groups.type_${r.type}`), cell: (r) => <Tag tone={r.type === 'fifo' ? 'accent' : undefined}>{t(`groups.type_${r.type}`)}</Tag> },
    { id: 'model', label: t('groups.model'), value: (r) => r.model && t(`groups.model_${r.model}`), className: 'text-ink-2' },
    { id: 'clients', label: t('groups.clients'), value: (r) => r.clients, format: 'int' },
    { id: 'lag', label: t('groups.lag'), value: (r) => toBig(r.lag), num: true, cell: (r, f) => <span className={(toNum(r.lag) ?? 0) > 100_000 ? 'font-semibold text-warn' : ''}>{f.int(r.lag)}</span> },
    { id: 'delay', label: t('groups.delay'), value: (r) => toBig(r.delayMs), format: 'span' },
    { id: 'inflight', label: t('groups.inflight'), value: (r) => toBig(r.inflight), format: 'int' },
    { id: 'tps', label: t('groups.tps'), value: (r) => r.tps, format: 'rate' },
    { id: 'last', label: t('groups.lastConsume'), value: (r) => r.lastConsume, format: 'ago' },
    { id: 'way', label: t('groups.consumeType'), value: (r) => r.consumeType, hidden: true, className: 'text-ink-2' },
    { id: 'retry', label: t('groups.retryMaxTimes'), value: (r) => r.retryMaxTimes, format: 'int', hidden: true },
  ]
}
