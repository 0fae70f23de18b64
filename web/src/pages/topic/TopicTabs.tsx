import { Link } from '@tanstack/react-router'
import { Send, Users } from 'lucide-react'
import { useState } from 'react'
import { useApi } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { toBig } from '@/lib/format'
import { GroupState } from '../Groups'
import { permText } from '../Topics'
import { TopicDialog } from './TopicDialog'

type Params = { cluster: string; topic: string }

export function TopicQueues({ topic, stats, error, onRetry }: { topic: string; stats: S['TopicStats'] | undefined; error: unknown; onRetry: () => void }) {
  const t = useT()
  return (
    <Panel flush>
      <DataTable
        id={`queues-${topic}`}
        label={t('topics.tabQueues')}
        rows={stats?.items}
        rowKey={(r) => `${r.broker}/${r.queue}`}
        error={error}
        onRetry={onRetry}
        sort="queue"
        columns={[
          { id: 'queue', label: t('common.queue'), value: (r) => `${r.broker} ${r.queue}`, cell: (r) => <span className="name">{r.broker} <span className="text-ink-3">/ {r.queue}</span></span> },
          { id: 'messages', label: t('topics.count'), value: (r) => toBig(r.messages), format: 'int' },
          { id: 'min', label: t('topics.oldest'), value: (r) => toBig(r.min), format: 'int' },
          { id: 'max', label: t('topics.end'), value: (r) => toBig(r.max), format: 'int' },
          { id: 'last', label: t('topics.lastUpdate'), value: (r) => r.lastUpdate, num: true, cell: (r, f) => (r.lastUpdate ? <time title={f.ago(r.lastUpdate)}>{f.time(r.lastUpdate)}</time> : '–') },
        ]}
      />
    </Panel>
  )
}

export function TopicGroups({ params }: { params: Params }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/topics/{topic}/groups', { params, every: 5_000 })
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        <DataTable
          plain
          id={`groups-${params.topic}`}
          label={t('topics.tabGroups')}
          rows={q.data?.items}
          rowKey={(r) => r.group}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="-lag"
          columns={[
            { id: 'group', label: t('common.group'), value: (r) => r.group, cell: (r) => <Link to="/c/$c/groups/$g" params={{ c: params.cluster, g: r.group } as never} className="link name">{r.group}</Link> },
            { id: 'state', label: t('groups.state'), value: (r) => (r.online === undefined ? 2 : r.online ? 0 : 1), cell: (r) => <GroupState online={r.online} clients={r.clients} /> },
            { id: 'lag', label: t('groups.lag'), value: (r) => toBig(r.lag), format: 'int' },
            { id: 'tps', label: t('groups.tps'), value: (r) => r.tps, format: 'rate' },
            { id: 'clients', label: t('groups.clients'), value: (r) => r.clients, format: 'int' },
            { id: 'last', label: t('groups.lastConsume'), value: (r) => r.lastConsume, format: 'ago' },
          ]}
          empty={<EmptyState icon={Users} title={t('topics.noGroups')}>{t('topics.noGroupsHint')}</EmptyState>}
        />
      </Panel>
    </>
  )
}

export function TopicProducers({ params }: { params: Params }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/topics/{topic}/producers', { params, every: 5_000 })
  return (
    <Panel flush>
      <DataTable
        plain
        id={`producers-${params.topic}`}
        label={t('topics.tabProducers')}
        rows={q.data?.items}
        rowKey={(r) => `${r.id}@${r.broker}`}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="id"
        columns={[
          { id: 'id', label: t('groups.clientId'), value: (r) => r.id, format: 'name' },
          { id: 'groups', label: t('topics.producerGroup'), value: (r) => r.groups.join(', '), format: 'name' },
          { id: 'address', label: t('common.address'), value: (r) => r.address, format: 'name' },
          { id: 'language', label: t('groups.language'), value: (r) => r.language },
          { id: 'version', label: t('groups.version'), value: (r) => r.version },
          { id: 'since', label: t('groups.since'), value: (r) => r.since, format: 'ago' },
        ]}
        empty={<EmptyState icon={Send} title={t('topics.noProducers')}>{t('topics.noProducersHint')}</EmptyState>}
      />
    </Panel>
  )
}

export function TopicRoute({ params }: { params: Params }) {
  const t = useT()
  const q = useApi('/clusters/{cluster}/topics/{topic}/route', { params })
  const addrs = (broker: string) => q.data?.brokers.find((b) => b.name === broker)?.addrs ?? {}
  return (
    <Panel flush>
      <DataTable
        plain
        id="route"
        label={t('topics.tabRoute')}
        rows={q.data?.queues}
        rowKey={(r) => r.broker}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="broker"
        columns={[
          { id: 'broker', label: t('common.broker'), value: (r) => r.broker, format: 'name' },
          { id: 'addrs', label: t('topics.addresses'), value: (r) => Object.values(addrs(r.broker)).join(' '), cell: (r) => <span className="flex gap-3">{Object.entries(addrs(r.broker)).map(([id, a]) => <span key={id} className="name"><span className="text-ink-3">{id}</span> {a}</span>)}</span> },
          { id: 'read', label: t('topics.readQueues'), value: (r) => r.read, format: 'int' },
          { id: 'write', label: t('topics.writeQueues'), value: (r) => r.write, format: 'int' },
          { id: 'perm', label: t('topics.perm'), value: (r) => permText(t, r.perm) },
        ]}
      />
    </Panel>
  )
}

export function TopicConfig({ name, configs, editable }: { name: string; configs: S['TopicConfig'][]; editable: boolean }) {
  const t = useT()
  const [editing, setEditing] = useState<S['TopicConfig'] | null>(null)
  return (
    <Panel flush>
      <DataTable
        plain
        id="topic-config"
        label={t('topics.tabConfig')}
        rows={configs}
        rowKey={(r) => r.broker}
        sort="broker"
        columns={[
          { id: 'broker', label: t('common.broker'), value: (r) => r.broker, format: 'name' },
          { id: 'type', label: t('topics.messageType'), value: (r) => r.messageType, cell: (r) => <Tag>{t(`topics.type_${r.messageType}`)}</Tag> },
          { id: 'read', label: t('topics.readQueues'), value: (r) => r.readQueues, format: 'int' },
          { id: 'write', label: t('topics.writeQueues'), value: (r) => r.writeQueues, format: 'int' },
          { id: 'perm', label: t('topics.perm'), value: (r) => permText(t, r.perm) },
          { id: 'attributes', label: t('topics.attributes'), value: (r) => Object.entries(r.attributes).map(([k, v]) => `${k}=${v}`).join(' '), format: 'name' },
          ...(editable ? [{ id: 'edit', label: '', value: () => '', cell: (r: S['TopicConfig']) => <Button small onClick={() => setEditing(r)}>{t('common.edit')}</Button>, className: 'num' }] : []),
        ]}
      />
      {editing && <TopicDialog name={name} config={editing} onClose={() => setEditing(null)} />}
    </Panel>
  )
}
