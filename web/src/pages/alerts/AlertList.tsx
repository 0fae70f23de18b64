import { Link } from '@tanstack/react-router'
import { BellOff } from 'lucide-react'
import { call } from '@/api/client'
import { useAction, useList } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Button, Pick } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useMaybeT, useT } from '@/i18n'
import { useUrlState } from '@/lib/url'
import { alertValue } from './value'

const OF_GROUP = ['lag', 'lagTime', 'deadLetters', 'clients']

export function AlertList() {
  const t = useT()
  const maybe = useMaybeT()
  const operator = useMay('operator')
  const [state, setState] = useUrlState('state')
  const q = useList('/alerts', { query: { state: state || undefined }, every: 5_000, keep: true })
  const ack = useAction((id: string) => call('POST', '/alerts/{alert}/acknowledge', { params: { alert: id } }), { invalidate: ['/alerts'], done: () => t('alerts.acked') })
  const days = (n: string) => t('alerts.daysN', { n })
  return (
    <Panel flush>
      <DataTable
        id="alerts"
        label={t('alerts.title')}
        rows={q.data?.items}
        rowKey={(r) => r.id}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="-since"
        tools={<Pick label={t('common.state')} value={state} onChange={setState} options={[{ value: '', label: t('alerts.allStates') }, ...(['firing', 'pending', 'resolved'] as const).map((value) => ({ value, label: t(`alerts.state_${value}`) }))]} />}
        columns={[
          { id: 'state', label: t('common.state'), value: (r) => r.state, cell: (r) => <AlertState alert={r} /> },
          { id: 'what', label: t('alerts.what'), value: (r) => r.ruleName ?? r.kind, cell: (r) => <span title={r.ruleName}>{maybe(`alerts.kind_${r.kind}`) ?? r.ruleName ?? r.kind}</span> },
          { id: 'target', label: t('alerts.target'), value: (r) => r.target, cell: (r) => (OF_GROUP.includes(r.kind) ? <Link className="link name" to={r.kind === 'deadLetters' ? '/c/$c/dlq/$g' : '/c/$c/groups/$g'} params={{ c: r.cluster, g: r.target } as never}>{r.target}</Link> : <span className="name">{r.target}</span>) },
          { id: 'value', label: t('common.value'), value: (r) => r.value, num: true, cell: (r, f) => alertValue(f, r.kind, r.value, days) },
          { id: 'threshold', label: t('alerts.threshold'), value: (r) => r.threshold, num: true, cell: (r, f) => alertValue(f, r.kind, r.threshold, days) },
          { id: 'since', label: t('alerts.since'), value: (r) => r.since, format: 'ago', num: true },
          { id: 'resolved', label: t('alerts.resolved'), value: (r) => r.resolved, format: 'ago', optional: true },
          { id: 'cluster', label: t('common.cluster'), value: (r) => r.cluster },
          { id: 'ack', label: t('alerts.acknowledged'), value: (r) => r.acknowledgedBy, cell: (r) => r.acknowledgedBy ?? (operator && r.state === 'firing' ? <Button small onClick={() => ack.mutate(r.id)}>{t('alerts.ack')}</Button> : '–') },
        ]}
        empty={<EmptyState icon={BellOff} title={t('alerts.none')} action={<Link className="btn" to="." search={{ tab: 'rules' } as never}>{t('alerts.seeRules')}</Link>}>{t('alerts.noneHint')}</EmptyState>}
      />
    </Panel>
  )
}

export function AlertState({ alert: a }: { alert: S['Alert'] }) {
  const t = useT()
  const tone = a.state === 'resolved' ? 'ok' : a.state === 'pending' ? 'info' : a.severity === 'fault' ? 'bad' : 'warn'
  return <StatusBadge tone={tone} title={a.noData ? t('alerts.noData') : undefined}>{a.state === 'firing' ? t(`alerts.severity_${a.severity}`) : t(`alerts.state_${a.state}`)}</StatusBadge>
}
