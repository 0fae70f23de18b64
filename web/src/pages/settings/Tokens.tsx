import { Copy, KeyRound, Plus } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi, useIdempotencyKey } from '@/api/hooks'
import type { Role } from '@/api/session'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Confirm, Dialog } from '@/components/Dialog'
import { Button, FormButtons, FormProblem, NumberField, SelectField, TextField, useForm } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'

const DAY = 86_400_000
export const ROLES: Role[] = ['viewer', 'reader', 'operator', 'admin']

export function Tokens() {
  const t = useT()
  const q = useApi('/tokens')
  const [adding, setAdding] = useState(false)
  const [deleting, setDeleting] = useState<S['Token'] | null>(null)
  const revoke = useAction((id: string) => call('DELETE', '/tokens/{token}', { params: { token: id } }), { invalidate: ['/tokens'], done: () => t('settings.tokenDeleted'), quiet: true })
  const add = (
    <Button small kind="primary" onClick={() => setAdding(true)}>
      <Plus aria-hidden className="size-3.5" />
      {t('settings.tokenAdd')}
    </Button>
  )
  return (
    <Panel flush title={t('settings.tabTokens')} actions={add}>
      <DataTable
        plain
        id="tokens"
        label={t('settings.tabTokens')}
        rows={q.data?.items}
        rowKey={(r) => r.id}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="name"
        columns={[
          { id: 'name', label: t('settings.tokenName'), value: (r) => r.name },
          { id: 'user', label: t('settings.userName'), value: (r) => r.user },
          { id: 'role', label: t('settings.role'), value: (r) => t(`roles.${r.role}`) },
          { id: 'created', label: t('settings.created'), value: (r) => r.created, format: 'ago' },
          { id: 'expires', label: t('settings.expires'), value: (r) => r.expires, format: 'ago' },
          { id: 'used', label: t('settings.lastUsed'), value: (r) => r.lastUsed, cell: (r, f) => (r.lastUsed ? f.ago(r.lastUsed) : t('settings.never')) },
          { id: 'do', label: '', value: () => '', className: 'num', cell: (r) => <Button small kind="danger-line" onClick={() => setDeleting(r)}>{t('settings.tokenDelete')}</Button> },
        ]}
        empty={<EmptyState icon={KeyRound} title={t('settings.noTokens')} action={add}>{t('settings.noTokensHint')}</EmptyState>}
      />
      {adding && <TokenDialog onClose={() => setAdding(false)} />}
      {deleting && (
        <Confirm title={`${t('settings.tokenDelete')} · ${deleting.name}`} action={t('settings.tokenDelete')} act={() => revoke.mutateAsync(deleting.id)} onClose={() => setDeleting(null)}>
          <p>{t('settings.tokenDeleteHint')}</p>
        </Confirm>
      )}
    </Panel>
  )
}

function TokenDialog({ onClose }: { onClose: () => void }) {
  const t = useT()
  const idempotencyKey = useIdempotencyKey()
  const [secret, setSecret] = useState('')
  const make = useAction(
    (v: { name: string; role: Role; days: number }) => call('POST', '/tokens', { body: { name: v.name, role: v.role, expires: Date.now() + v.days * DAY }, idempotencyKey }),
    { invalidate: ['/tokens'], onDone: (r) => setSecret(r.secret), quiet: true },
  )
  const form = useForm({ name: '', role: 'viewer' as Role, days: 90 }, (v) => make.mutateAsync(v), (v) => ({ name: v.name ? undefined : t('common.required'), days: v.days >= 1 ? undefined : t('groups.notNegative') }))
  if (secret) {
    return (
      <Dialog title={t('settings.token')} onClose={onClose}>
        <p className="mb-3">{t('settings.tokenMade')}</p>
        <div className="flex gap-2">
          <input readOnly aria-label={t('settings.token')} className="input name" value={secret} onFocus={(e) => e.target.select()} />
          <Button onClick={() => void navigator.clipboard?.writeText(secret).then(() => toast('ok', t('common.copied')))}>
            <Copy aria-hidden className="size-3.5" />
            {t('common.copy')}
          </Button>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title={t('settings.tokenAdd')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField label={t('settings.tokenName')} value={form.values.name} onChange={(v) => form.set('name', v)} error={form.error('name')} />
        <div className="grid grid-cols-2 gap-4">
          <SelectField label={t('settings.role')} value={form.values.role} onChange={(v) => form.set('role', v as Role)} error={form.error('role')} options={ROLES.map((value) => ({ value, label: t(`roles.${value}`) }))} />
          <NumberField label={t('settings.tokenDays')} min={1} value={form.values.days} onChange={(v) => form.set('days', v)} error={form.error('days') ?? form.error('expires')} />
        </div>
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('settings.tokenAdd')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
