import { Link } from '@tanstack/react-router'
import { Unplug } from 'lucide-react'
import { useApi, useCluster, useList } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Pick } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { useSearchState, useSetSearch, useUrlState } from '@/lib/url'
import { Running } from './group/GroupClients'
import type { S } from '@/api/types'

const KINDS = ['producer', 'consumer', 'mqtt', 'amqp'] as const

/** All that is connected, in one table; a consumer's name opens what it is doing. */
export default function Clients() {
  const t = useT()
  const cluster = useCluster()
  const [kind, setKind] = useUrlState('kind')
  const s = useSearchState()
  const set = useSetSearch()
  // Producers have a request of their own that each broker answers, also where consumers cannot be listed.
  const clients = useList('/clusters/{cluster}/clients', { query: { kind: kind || undefined }, every: 10_000, keep: true, enabled: kind !== 'producer' })
  const producers = useList('/clusters/{cluster}/producers', { every: 10_000, keep: true, enabled: kind === 'producer' })
  const known = useApi('/clusters/{cluster}/clients', { query: { limit: 1 } }).data?.known
  const q = kind === 'producer' ? producers : clients
  const opens = (r: S['Client']) => r.kind === 'consumer' && r.groups.length > 0
  return (
    <Page title={t('clients.title')}>
      <PartialBanner errors={q.data?.errors} />
      {known === false && kind !== 'producer' && <p role="status" className="rounded-md bg-info-soft px-3.5 py-2.5 text-info">{t('clients.notAll')}</p>}
      <Panel flush>
        <DataTable
          id="clients"
          label={t('clients.title')}
          rows={q.data?.items}
          total={q.data?.total}
          rowKey={(r) => `${r.kind} ${r.id}@${r.broker} ${r.groups.join()}`}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="id"
          tools={<Pick label={t('clients.kind')} value={kind} onChange={setKind} options={[{ value: '', label: t('clients.all') }, ...KINDS.map((value) => ({ value, label: t(`clients.kind_${value}`) }))]} />}
          columns={[
            { id: 'id', label: t('clients.id'), value: (r) => r.id, cell: (r) => (opens(r) ? <button type="button" className="link name" title={t('clients.look')} onClick={() => set({ client: r.id, group: r.groups[0] }, { push: true })}>{r.id}</button> : <span className="name">{r.id}</span>) },
            { id: 'kind', label: t('clients.kind'), value: (r) => t(`clients.kind_${r.kind}`), cell: (r) => <Tag tone={r.kind === 'producer' ? 'comet' : 'accent'}>{t(`clients.kind_${r.kind}`)}</Tag> },
            { id: 'groups', label: t('clients.groups'), value: (r) => r.groups.join(', '), cell: (r) => (r.kind === 'consumer' ? <span className="inline-flex gap-2">{r.groups.map((g) => <Link key={g} className="link name" to="/c/$c/groups/$g" params={{ c: cluster, g } as never}>{g}</Link>)}</span> : <span className="name">{r.groups.join(', ')}</span>) },
            { id: 'address', label: t('common.address'), value: (r) => r.address, format: 'name' },
            { id: 'language', label: t('clients.language'), value: (r) => r.language },
            { id: 'version', label: t('common.version'), value: (r) => r.version },
            { id: 'broker', label: t('common.broker'), value: (r) => r.broker, format: 'name' },
            { id: 'since', label: t('clients.since'), value: (r) => r.since, format: 'ago', optional: true },
            { id: 'seen', label: t('clients.seen'), value: (r) => r.lastSeen, format: 'ago', optional: true },
          ]}
          empty={<EmptyState icon={Unplug} title={t('clients.empty')}>{t('clients.emptyHint')}</EmptyState>}
        />
      </Panel>
      {s.client && s.group && <Running params={{ cluster, group: s.group, client: s.client }} onClose={() => set({ client: undefined, group: undefined })} />}
    </Page>
  )
}
