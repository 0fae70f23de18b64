import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useCluster } from '@/api/hooks'
import type { S } from '@/api/types'
import { Button, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { Panel } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { useSearchState, useSetSearch } from '@/lib/url'

/** Can this user do that? Answered by the users and policies that the brokers have, with the entry that decides. */
export function AclCheck() {
  const t = useT()
  const cluster = useCluster()
  const s = useSearchState()
  const set = useSetSearch()
  const [answer, setAnswer] = useState<S['AclCheckResult'] | null>(null)
  const ask = useAction((body: S['AclCheck']) => call('POST', '/clusters/{cluster}/acl/check', { params: { cluster }, body }), { quiet: true, onDone: setAnswer })
  const form = useForm(
    { user: s.user ?? '', action: s.action ?? 'Pub', resource: s.resource ?? 'Topic:', source: s.source ?? '' },
    async (v) => {
      set({ user: v.user, action: v.action, resource: v.resource, source: v.source || undefined })
      setAnswer(null)
      await ask.mutateAsync({ user: v.user.trim(), action: v.action, resource: v.resource.trim(), source: v.source.trim() || undefined })
    },
    (v) => ({ user: v.user.trim() ? undefined : t('common.required'), resource: /^\w+:\S/.test(v.resource.trim()) ? undefined : t('acl.badResource') }),
  )
  const v = form.values
  return (
    <Panel title={t('acl.checkTitle')}>
      <form onSubmit={form.submit} noValidate className="grid max-w-5xl items-start gap-3 sm:grid-cols-2 lg:grid-cols-[1fr_130px_1.4fr_1fr_auto]">
        <TextField mono label={t('acl.user')} value={v.user} onChange={(x) => form.set('user', x)} error={form.error('user')} />
        <SelectField label={t('acl.action')} value={v.action} onChange={(x) => form.set('action', x)} error={form.error('action')} options={(['Pub', 'Sub', 'Create', 'Update', 'Delete', 'Get', 'List'] as const).map((value) => ({ value, label: t(`acl.action_${value}`) }))} />
        <TextField mono label={t('acl.resource')} hint={t('acl.resourceExample')} value={v.resource} onChange={(x) => form.set('resource', x)} error={form.error('resource')} />
        <TextField mono label={t('acl.source')} placeholder="10.0.0.7" value={v.source} onChange={(x) => form.set('source', x)} error={form.error('source')} />
        <Button kind="primary" type="submit" busy={form.busy} className="sm:mt-[22px]">{t('acl.ask')}</Button>
      </form>
      <div className="mt-3" aria-live="polite">
        <FormProblem text={form.problem} />
        {answer && (
          <div className="flex flex-col gap-1.5 rounded-md border bg-sunken p-3.5">
            <StatusBadge tone={answer.allowed ? 'ok' : 'bad'}><b>{answer.allowed ? t('acl.yes', { subject: answer.subject }) : t('acl.no', { subject: answer.subject })}</b></StatusBadge>
            <p className="text-ink-2">{t(`acl.reason_${answer.reason}`)}</p>
            {answer.entry && <p className="name break-words">{answer.entry.decision} {answer.entry.actions.join(', ')} {answer.entry.resource} {answer.entry.sources?.join(', ')}</p>}
          </div>
        )}
      </div>
    </Panel>
  )
}
