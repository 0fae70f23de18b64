import { Plus, UserPlus } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useCluster, useIdempotencyKey, useList } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Button, CheckField, FormButtons, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { PlanConfirm } from '@/components/PlanConfirm'
import { StatusBadge, Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { AclOff } from './AclOff'
import { tellSteps } from '@/lib/steps'

export function AclUsers() {
  const t = useT()
  const cluster = useCluster()
  const [editing, setEditing] = useState<S['AclUser'] | 'new' | null>(null)
  const [deleting, setDeleting] = useState<string | null>(null)
  const q = useList('/clusters/{cluster}/acl/users')
  const add = (
    <Button kind="primary" onClick={() => setEditing('new')}>
      <Plus aria-hidden className="size-4" />
      {t('acl.addUser')}
    </Button>
  )
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      {q.error && !q.data ? (
        <AclOff error={q.error} onRetry={() => void q.refetch()} />
      ) : (
        <Panel flush>
          <DataTable
            id="acl-users"
            label={t('acl.users')}
            rows={q.data?.items}
            rowKey={(r) => r.name}
            sort="name"
            tools={add}
            columns={[
              { id: 'name', label: t('common.name'), value: (r) => r.name, format: 'name' },
              { id: 'type', label: t('common.type'), value: (r) => r.type, cell: (r) => <Tag tone={r.type === 'Super' ? 'warn' : undefined}>{t(`acl.type_${r.type}`)}</Tag> },
              { id: 'status', label: t('common.state'), value: (r) => r.status, cell: (r) => <StatusBadge tone={r.status === 'enable' ? 'ok' : 'idle'}>{t(`acl.status_${r.status}`)}</StatusBadge> },
              { id: 'brokers', label: t('common.broker'), value: (r) => r.brokers.join(', '), cell: (r) => <span className="inline-flex items-center gap-2"><span className="name">{r.brokers.join(', ')}</span>{r.differs && <StatusBadge tone="warn">{t('acl.differs')}</StatusBadge>}</span> },
              {
                id: 'do', label: '', value: () => '', className: 'num',
                cell: (r) => (
                  <span className="inline-flex gap-1.5">
                    <Button small onClick={() => setEditing(r)}>{t('common.edit')}</Button>
                    <Button small kind="danger-line" onClick={() => setDeleting(r.name)}>{t('common.delete')}</Button>
                  </span>
                ),
              },
            ]}
            empty={<EmptyState icon={UserPlus} title={t('acl.noUsers')} action={add}>{t('acl.noUsersHint')}</EmptyState>}
          />
        </Panel>
      )}
      {editing && <UserDialog user={editing === 'new' ? undefined : editing} onClose={() => setEditing(null)} />}
      {deleting && (
        <PlanConfirm
          title={t('acl.deleteUser')}
          type={deleting}
          action={t('acl.deleteUser')}
          run={(dryRun) => call('DELETE', '/clusters/{cluster}/acl/users/{user}', { params: { cluster, user: deleting }, query: { dryRun: dryRun || undefined } })}
          onDone={(r) => {
            tellSteps(r, t('acl.userDeleted', { name: deleting }))
            void q.refetch()
          }}
          onClose={() => setDeleting(null)}
        >
          <p className="text-ink-2">{t('acl.deleteUserHint')}</p>
        </PlanConfirm>
      )}
    </>
  )
}

function UserDialog({ user, onClose }: { user?: S['AclUser']; onClose: () => void }) {
  const t = useT()
  const cluster = useCluster()
  const key = useIdempotencyKey()
  const initial = { name: user?.name ?? '', password: '', type: user?.type ?? ('Normal' as const), status: (user?.status ?? 'enable') as 'enable' | 'disable' }
  const save = useAction(
    async ({ name, password, ...rest }: typeof initial): Promise<S['ChangeResult']> => {
      const body = { ...rest, ...(password && { password }) }
      return user
        ? call('PUT', '/clusters/{cluster}/acl/users/{user}', { params: { cluster, user: user.name }, body })
        : call('POST', '/clusters/{cluster}/acl/users', { params: { cluster }, body: { ...body, name: name.trim() }, idempotencyKey: key })
    },
    {
      quiet: true,
      invalidate: ['/clusters/{cluster}/acl/users'],
      onDone: (r, v) => {
        tellSteps(r, t('acl.userSaved', { name: v.name }))
        onClose()
      },
    },
  )
  const form = useForm(initial, (v) => save.mutateAsync(v), (v) => ({
    name: v.name.trim() ? undefined : t('common.required'),
    password: user || v.password ? undefined : t('common.required'),
  }))
  const v = form.values
  return (
    <Dialog title={user ? t('acl.editUser', { name: user.name }) : t('acl.addUser')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField mono label={t('common.name')} hint={t('acl.nameHint')} readOnly={!!user} autoComplete="off" value={v.name} onChange={(x) => form.set('name', x)} error={form.error('name')} />
        <TextField mono type="password" autoComplete="new-password" label={t('acl.password')} hint={user ? t('acl.passwordKeep') : t('acl.passwordHint')} value={v.password} onChange={(x) => form.set('password', x)} error={form.error('password')} />
        <SelectField label={t('common.type')} hint={t('acl.typeHint')} value={v.type} onChange={(x) => form.set('type', x as 'Super' | 'Normal')} error={form.error('type')} options={(['Normal', 'Super'] as const).map((value) => ({ value, label: t(`acl.type_${value}`) }))} />
        <CheckField label={t('acl.enabled')} checked={v.status === 'enable'} onChange={(on) => form.set('status', on ? 'enable' : 'disable')} />
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('common.save')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
