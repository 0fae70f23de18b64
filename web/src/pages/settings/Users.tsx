import { Plus } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi } from '@/api/hooks'
import type { Role } from '@/api/session'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Confirm, Dialog } from '@/components/Dialog'
import { Button, CheckField, FormButtons, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { Panel } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { ROLES } from './Tokens'

export function Users() {
  const t = useT()
  const q = useApi('/users')
  const [editing, setEditing] = useState<S['User'] | 'new' | null>(null)
  const [deleting, setDeleting] = useState<string | null>(null)
  const remove = useAction((user: string) => call('DELETE', '/users/{user}', { params: { user } }), { invalidate: ['/users'], done: (_, name) => t('settings.userDeleted', { name }), quiet: true })
  return (
    <Panel
      flush
      title={t('settings.tabUsers')}
      actions={
        <Button small kind="primary" onClick={() => setEditing('new')}>
          <Plus aria-hidden className="size-3.5" />
          {t('settings.userAdd')}
        </Button>
      }
    >
      <DataTable
        plain
        id="users"
        label={t('settings.tabUsers')}
        rows={q.data?.items}
        rowKey={(r) => r.name}
        error={q.error}
        onRetry={() => void q.refetch()}
        sort="name"
        columns={[
          { id: 'name', label: t('settings.userName'), value: (r) => r.name, cell: (r) => <span className="font-medium">{r.name}</span> },
          { id: 'role', label: t('settings.role'), value: (r) => t(`roles.${r.role}`) },
          { id: 'state', label: t('common.state'), value: (r) => (r.disabled ? 1 : 0), cell: (r) => <StatusBadge tone={r.disabled ? 'idle' : 'ok'}>{t(r.disabled ? 'settings.disabled' : 'settings.active')}</StatusBadge> },
          { id: 'topics', label: t('settings.topicScope'), value: (r) => r.topicScope, format: 'name' },
          { id: 'groups', label: t('settings.groupScope'), value: (r) => r.groupScope, format: 'name' },
          { id: 'login', label: t('settings.lastLogin'), value: (r) => r.lastLogin, cell: (r, f) => (r.lastLogin ? f.ago(r.lastLogin) : t('settings.never')) },
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
      />
      {editing && <UserDialog user={editing === 'new' ? undefined : editing} onClose={() => setEditing(null)} />}
      {deleting && (
        <Confirm title={t('settings.userDelete')} type={deleting} action={t('settings.userDelete')} act={() => remove.mutateAsync(deleting)} onClose={() => setDeleting(null)}>
          <p>{t('settings.userDeleteHint', { name: deleting })}</p>
        </Confirm>
      )}
    </Panel>
  )
}

function UserDialog({ user, onClose }: { user?: S['User']; onClose: () => void }) {
  const t = useT()
  const initial = { name: user?.name ?? '', password: '', role: user?.role ?? ('viewer' as Role), topicScope: user?.topicScope ?? '', groupScope: user?.groupScope ?? '', disabled: user?.disabled ?? false }
  const save = useAction(
    async ({ name, password, ...rest }: typeof initial): Promise<unknown> => {
      const body = { ...rest, ...(password && { password }) }
      return user ? call('PUT', '/users/{user}', { params: { user: user.name }, body }) : call('POST', '/users', { body: { ...body, name } })
    },
    { invalidate: ['/users'], done: (_, v) => t('settings.userSaved', { name: v.name }), onDone: onClose, quiet: true },
  )
  const form = useForm(initial, (v) => save.mutateAsync(v), (v) => ({
    name: v.name ? undefined : t('common.required'),
    password: (user && v.password === '') || v.password.length >= 8 ? undefined : t('login.passwordShort'),
  }))
  return (
    <Dialog title={user ? `${t('settings.userEdit')} · ${user.name}` : t('settings.userAdd')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <div className="grid grid-cols-2 gap-4">
          <TextField label={t('settings.userName')} readOnly={!!user} autoComplete="off" value={form.values.name} onChange={(v) => form.set('name', v)} error={form.error('name')} />
          <TextField type="password" autoComplete="new-password" label={t('settings.userPassword')} hint={user ? t('settings.userPasswordKeep') : t('login.passwordHint')} value={form.values.password} onChange={(v) => form.set('password', v)} error={form.error('password')} />
        </div>
        <SelectField label={t('settings.role')} hint={t('settings.roleHint')} value={form.values.role} onChange={(v) => form.set('role', v as Role)} error={form.error('role')} options={ROLES.map((value) => ({ value, label: t(`roles.${value}`) }))} />
        <div className="grid grid-cols-2 gap-4">
          <TextField mono label={t('settings.topicScope')} hint={t('settings.scopeHint')} value={form.values.topicScope} onChange={(v) => form.set('topicScope', v)} error={form.error('topicScope')} />
          <TextField mono label={t('settings.groupScope')} hint={t('settings.scopeHint')} value={form.values.groupScope} onChange={(v) => form.set('groupScope', v)} error={form.error('groupScope')} />
        </div>
        {user && <CheckField label={t('settings.disabled')} checked={form.values.disabled} onChange={(v) => form.set('disabled', v)} />}
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('common.save')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
