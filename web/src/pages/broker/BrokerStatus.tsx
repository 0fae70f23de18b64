import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Meter, Panel, Stat, Stats } from '@/components/Layout'
import { useT } from '@/i18n'
import { toNum, useFormats } from '@/lib/format'

export function BrokerStatus({ detail }: { detail: S['BrokerDetail'] }) {
  const t = useT()
  const f = useFormats()
  const b = detail.broker
  const rows = Object.entries(detail.runtime).map(([key, value]) => ({ key, value }))
  return (
    <>
      <Stats className="lg:grid-cols-6">
        <Stat label={t('brokers.inTps')} value={f.rate(b.inTps)} sub={b.inToday === undefined ? undefined : t('overview.today', { n: f.compact(b.inToday) })} />
        <Stat label={t('brokers.outTps')} value={f.rate(b.outTps)} sub={b.outToday === undefined ? undefined : t('overview.today', { n: f.compact(b.outToday) })} />
        <Stat label={t('brokers.disk')} value={f.percent(b.diskRatio)} sub={<Meter label={t('brokers.disk')} value={b.diskRatio} text="" />} />
        <Stat label={t('brokers.dispatch')} value={f.bytes(b.dispatchBehindBytes)} />
        <Stat label={t('brokers.ha')} value={f.bytes(b.haBehindBytes)} tone={(toNum(b.haBehindBytes) ?? 0) > 256 << 20 ? 'warn' : undefined} />
        <Stat label={t('brokers.uptime')} value={f.ago(b.started)} sub={f.time(b.started).slice(0, 16)} />
      </Stats>
      <Panel title={t('brokers.runtime')} flush>
        <DataTable
          id={`runtime-${b.name}-${b.id}`}
          label={t('brokers.runtime')}
          rows={rows}
          rowKey={(r) => r.key}
          sort="key"
          columns={[
            { id: 'key', label: t('common.key'), value: (r) => r.key, format: 'name' },
            { id: 'value', label: t('common.value'), value: (r) => r.value, cell: (r) => <Runtime name={r.key} value={r.value} /> },
          ]}
        />
      </Panel>
    </>
  )
}

/** Java's keys keep their names; values that are times or byte counts by their name are also said in words. */
function Runtime({ name, value }: { name: string; value: string }) {
  const f = useFormats()
  const words = /timestamp|Time$/i.test(name) && /^\d{13}$/.test(value) ? f.time(value) : /bytes/i.test(name) && /^\d{4,}$/.test(value) ? f.bytes(value) : ''
  return (
    <span className="name">
      {value}
      {words && <span className="ml-2 text-ink-3">{words}</span>}
    </span>
  )
}
