import { Link2 } from 'lucide-react'
import { useApi } from '@/api/hooks'
import { DataTable } from '@/components/DataTable'
import { EmptyState, Facts, Panel, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { toBig, useFormats } from '@/lib/format'

type Params = { cluster: string; broker: string; id: string }

export function BrokerHA({ params }: { params: Params }) {
  const t = useT()
  const f = useFormats()
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}/ha', { params, every: 3_000 })
  const h = q.data
  return (
    <>
      {q.error && !h ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !h ? (
        <Skeleton lines={4} />
      ) : h.master ? (
        <Panel title={t('brokers.slaves')} note={`${t('brokers.end')} ${f.int(h.end)}`} flush>
          <DataTable
            plain
            id="slaves"
            label={t('brokers.slaves')}
            rows={h.slaves}
            rowKey={(r) => r.addr}
            sort="addr"
            urlKey="s."
            columns={[
              { id: 'addr', label: t('common.address'), value: (r) => r.addr, format: 'name' },
              { id: 'state', label: t('common.state'), value: (r) => (r.inSync ? 1 : 0), cell: (r) => <StatusBadge tone={r.inSync ? 'ok' : 'warn'}>{t(r.inSync ? 'brokers.inSync' : 'brokers.notInSync')}</StatusBadge> },
              { id: 'behind', label: t('brokers.behind'), value: (r) => toBig(r.behindBytes), format: 'bytes' },
              { id: 'acked', label: t('brokers.acked'), value: (r) => toBig(r.acked), format: 'int' },
              { id: 'speed', label: t('brokers.speed'), num: true, value: (r) => toBig(r.bytesPerSecond), cell: (r) => `${f.bytes(r.bytesPerSecond)}/s` },
            ]}
            empty={<EmptyState icon={Link2} title={t('brokers.noSlaves')}>{t('brokers.noSlavesHint')}</EmptyState>}
          />
        </Panel>
      ) : (
        <Panel title={t('brokers.slave')}>
          <Facts
            items={[
              { label: t('brokers.master'), value: <span className="name">{h.client?.master ?? '–'}</span> },
              { label: t('common.state'), value: <StatusBadge tone={h.client?.connected ? 'ok' : 'bad'}>{t(h.client?.connected ? 'brokers.connected' : 'brokers.notConnected')}</StatusBadge> },
              { label: t('brokers.end'), value: f.int(h.client?.end ?? h.end) },
              { label: t('brokers.speed'), value: h.client ? `${f.bytes(h.client.bytesPerSecond)}/s` : '–' },
              { label: t('brokers.lastRead'), value: f.ago(h.client?.lastRead) },
              { label: t('brokers.lastWrite'), value: f.ago(h.client?.lastWrite) },
            ]}
          />
        </Panel>
      )}
      <Epochs params={params} />
    </>
  )
}

function Epochs({ params }: { params: Params }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}/epoch', { params })
  return (
    <Panel title={t('brokers.epochs')} flush>
      <DataTable
        plain
        id="epochs"
        label={t('brokers.epochs')}
        rows={q.data?.items ?? (q.error ? [] : undefined)}
        rowKey={(r) => String(r.epoch)}
        sort="-epoch"
        urlKey="e."
        columns={[
          { id: 'epoch', label: t('brokers.epoch'), value: (r) => r.epoch, num: true },
          { id: 'start', label: t('brokers.epochStart'), value: (r) => toBig(r.start), format: 'int' },
          { id: 'end', label: t('brokers.epochEnd'), value: (r) => toBig(r.end), format: 'int' },
        ]}
        empty={<p className="px-4 py-6 text-center text-ink-3">{t('brokers.noEpochs')}</p>}
      />
    </Panel>
  )
}
