import { BellPlus, Plus } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useIdempotencyKey, useList } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Confirm, Dialog } from '@/components/Dialog'
import { Button, CheckField, FormButtons, FormProblem, NumberField, SelectField, TextField, useForm } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { StatusBadge, Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { alertValue, KINDS, type Kind } from './value'

export function AlertRules() {
  const t = useT()
  const operator = useMay('operator')
  const [editing, setEditing] = useState<S['AlertRule'] | 'new' | null>(null)
  const [deleting, setDeleting] = useState<S['AlertRule'] | null>(null)
  const q = useList('/alerts/rules')
  const remove = useAction((id: string) => call('DELETE', '/alerts/rules/{rule}', { params: { rule: id } }), { invalidate: ['/alerts/rules', '/alerts'], quiet: true })
  const days = (n: string) => t('alerts.daysN', { n })
  const add = operator && (
    <Button kind="primary" onClick={() => setEditing('new')}>
      <Plus aria-hidden className="size-4" />
      {t('alerts.addRule')}
    </Button>
  )
  return (
    <Panel flush>
      <DataTable
        id="alert-rules"
        label={t('alerts.rules')}
        rows={q.data?.items}
        rowKey={(r) => r.id}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="name"
        tools={add}
        columns={[
          { id: 'name', label: t('common.name'), value: (r) => r.name, cell: (r) => <span className="inline-flex items-center gap-2">{r.name}{r.builtin && <Tag>{t('alerts.builtin')}</Tag>}</span> },
          { id: 'enabled', label: t('common.state'), value: (r) => (r.enabled ? 0 : 1), cell: (r) => <StatusBadge tone={r.enabled ? 'ok' : 'idle'}>{r.enabled ? t('common.on') : t('common.off')}</StatusBadge> },
          { id: 'kind', label: t('alerts.what'), value: (r) => t(`alerts.kind_${r.kind}`) },
          { id: 'threshold', label: t('alerts.threshold'), value: (r) => r.threshold, num: true, cell: (r, f) => alertValue(f, r.kind, r.threshold, days) },
          { id: 'for', label: t('alerts.for'), value: (r) => r.forMs ?? 0, num: true, cell: (r, f) => (r.forMs ? f.span(r.forMs) : t('alerts.atOnce')) },
          { id: 'severity', label: t('alerts.severity'), value: (r) => r.severity, cell: (r) => <StatusBadge tone={r.severity === 'fault' ? 'bad' : 'warn'}>{t(`alerts.severity_${r.severity}`)}</StatusBadge> },
          { id: 'target', label: t('alerts.target'), value: (r) => r.target, cell: (r) => (r.target ? <span className="name">{r.target}</span> : <span className="text-ink-3">{t('common.all')}</span>) },
          ...(operator
            ? [{
                id: 'do', label: '', value: () => '', className: 'num',
                cell: (r: S['AlertRule']) => (
                  <span className="inline-flex gap-1.5">
                    <Button small onClick={() => setEditing(r)}>{t('common.edit')}</Button>
                    <Button small kind="danger-line" onClick={() => setDeleting(r)}>{t('common.delete')}</Button>
                  </span>
                ),
              }]
            : []),
        ]}
        empty={<EmptyState icon={BellPlus} title={t('alerts.noRules')} action={add}>{t('alerts.noRulesHint')}</EmptyState>}
      />
      {editing && <RuleDialog rule={editing === 'new' ? undefined : editing} onClose={() => setEditing(null)} />}
      {deleting && (
        <Confirm title={t('alerts.deleteRule')} action={t('alerts.deleteRule')} danger act={() => remove.mutateAsync(deleting.id)} onClose={() => setDeleting(null)}>
          <p>{t('alerts.deleteRuleHint', { name: deleting.name })}</p>
        </Confirm>
      )}
    </Panel>
  )
}

// What people type: per cent, minutes, MiB; the API has shares, ms and bytes.
const SCALE: Partial<Record<Kind, number>> = { disk: 0.01, lagTime: 60_000, replicaBehind: 1 << 20 }
const shown = (kind: Kind, v: number) => Math.round((v / (SCALE[kind] ?? 1)) * 1000) / 1000

function RuleDialog({ rule, onClose }: { rule?: S['AlertRule']; onClose: () => void }) {
  const t = useT()
  const key = useIdempotencyKey()
  const kind = rule?.kind ?? 'lag'
  const initial = { name: rule?.name ?? '', kind, enabled: rule?.enabled ?? true, target: rule?.target ?? '', threshold: rule ? shown(kind, rule.threshold) : 10_000, forMs: (rule?.forMs ?? 60_000) / 1000, severity: rule?.severity ?? ('warn' as const), webhook: rule?.webhook ?? '' }
  const save = useAction(
    async (v: typeof initial): Promise<unknown> => {
      const body = { ...v, name: v.name.trim(), target: v.target.trim(), threshold: v.kind === 'noMaster' ? 0 : v.threshold * (SCALE[v.kind] ?? 1), forMs: Math.round(v.forMs * 1000), webhook: v.webhook.trim() }
      return rule ? call('PUT', '/alerts/rules/{rule}', { params: { rule: rule.id }, body }) : call('POST', '/alerts/rules', { body, idempotencyKey: key })
    },
    { invalidate: ['/alerts/rules', '/alerts'], done: (_, v) => t('alerts.ruleSaved', { name: v.name }), onDone: onClose, quiet: true },
  )
  const form = useForm(initial, (v) => save.mutateAsync(v), (v) => ({
    name: v.name.trim() ? undefined : t('common.required'),
    threshold: v.threshold >= 0 ? undefined : t('alerts.badNumber'),
    forMs: v.forMs >= 0 ? undefined : t('alerts.badNumber'),
  }))
  const v = form.values
  return (
    <Dialog title={rule ? t('alerts.editRule') : t('alerts.addRule')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField label={t('common.name')} value={v.name} onChange={(x) => form.set('name', x)} error={form.error('name')} />
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField label={t('alerts.what')} value={v.kind} onChange={(x) => form.set('kind', x as Kind)} error={form.error('kind')} options={KINDS.map((value) => ({ value, label: t(`alerts.kind_${value}`) }))} />
          <SelectField label={t('alerts.severity')} value={v.severity} onChange={(x) => form.set('severity', x as 'warn' | 'fault')} error={form.error('severity')} options={(['warn', 'fault'] as const).map((value) => ({ value, label: t(`alerts.severity_${value}`) }))} />
          {v.kind !== 'noMaster' && <NumberField label={t(`alerts.limit_${v.kind}`)} min={0} value={v.threshold} onChange={(x) => form.set('threshold', x)} error={form.error('threshold')} />}
          <NumberField label={t('alerts.forSeconds')} min={0} value={v.forMs} onChange={(x) => form.set('forMs', x)} error={form.error('forMs')} />
        </div>
        <TextField mono label={t('alerts.target')} hint={t('alerts.targetHint')} value={v.target} onChange={(x) => form.set('target', x)} error={form.error('target')} />
        <TextField mono type="url" label={t('alerts.webhook')} hint={t('alerts.ruleWebhookHint')} value={v.webhook} onChange={(x) => form.set('webhook', x)} error={form.error('webhook')} />
        <CheckField label={t('alerts.enabled')} checked={v.enabled} onChange={(x) => form.set('enabled', x)} />
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('common.save')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
