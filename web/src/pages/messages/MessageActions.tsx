import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi, useCluster, useIdempotencyKey } from '@/api/hooks'
import type { S } from '@/api/types'
import { Dialog } from '@/components/Dialog'
import { FormButtons, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'

type Props = { message: S['Message']; onClose: () => void }

/** Sends a copy, with all properties, to the topic where it was or another one. */
export function ResendDialog({ message: m, onClose }: Props) {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const key = useIdempotencyKey()
  const [sent, setSent] = useState<S['SendResult'] | null>(null)
  const resend = useAction((v: { to: string }) => call('POST', '/clusters/{cluster}/messages/{message}/resend', { params: { cluster, message: m.offsetId }, body: { topic: m.topic, to: v.to.trim() || undefined }, idempotencyKey: key }), { quiet: true, onDone: setSent })
  const form = useForm({ to: '' }, (v) => resend.mutateAsync(v))
  return (
    <Dialog title={t('messages.resend')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <p className="text-ink-2">{t('messages.resendHint')}</p>
        <TextField mono label={t('messages.resendTo')} hint={t('messages.resendToHint', { topic: m.properties.RETRY_TOPIC ?? m.topic })} value={form.values.to} onChange={(v) => form.set('to', v)} error={form.error('to')} />
        <FormProblem text={form.problem} />
        {sent ? (
          <div role="status" className="flex flex-wrap items-center gap-2">
            <StatusBadge tone={sent.status === 'SEND_OK' ? 'ok' : 'bad'}>{sent.status}</StatusBadge>
            {sent.offsetId ? <Link className="link name break-all" to="/c/$c/messages/$m" params={{ c: cluster, m: sent.offsetId } as never}>{sent.id ?? sent.offsetId}</Link> : sent.id}
            <span className="name">{sent.broker}{sent.offset !== undefined && ` @ ${f.int(sent.offset)}`}</span>
            {sent.error && <span className="text-bad">{sent.error.detail}</span>}
          </div>
        ) : (
          <FormButtons form={form} submit={t('messages.resend')} onCancel={onClose} />
        )}
      </form>
    </Dialog>
  )
}

/** Has one connected client consume the message now, past its position. */
export function ConsumeDialog({ message: m, groups, onClose }: Props & { groups: string[] }) {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const key = useIdempotencyKey()
  const [result, setResult] = useState<S['ConsumeDirectlyResult'] | null>(null)
  const run = useAction(
    (v: { group: string; clientId: string }) => call('POST', '/clusters/{cluster}/messages/{message}/consumeDirectly', { params: { cluster, message: m.offsetId }, body: { ...v, topic: m.topic }, idempotencyKey: `${key}-${v.group}-${v.clientId}` }),
    { quiet: true, onDone: setResult, invalidate: ['/clusters/{cluster}/messages/{message}/tracks'] },
  )
  const form = useForm({ group: groups[0] ?? '', clientId: '' }, (v) => run.mutateAsync(v), (v) => ({ group: v.group ? undefined : t('common.required'), clientId: v.clientId ? undefined : t('messages.chooseClient') }))
  const v = form.values
  const clients = useApi('/clusters/{cluster}/groups/{group}/clients', { params: { cluster, group: v.group }, enabled: v.group !== '' })
  return (
    <Dialog title={t('messages.consume')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <p className="text-ink-2">{t('messages.consumeHint')}</p>
        {groups.length > 0 ? (
          <SelectField label={t('common.group')} value={v.group} onChange={(x) => form.set('group', x)} error={form.error('group')} options={groups.map((g) => ({ value: g, label: g }))} />
        ) : (
          <TextField mono label={t('common.group')} value={v.group} onChange={(x) => form.set('group', x)} error={form.error('group')} />
        )}
        <SelectField
          label={t('messages.client')}
          hint={clients.data?.items.length === 0 ? t('messages.noClient') : undefined}
          value={v.clientId}
          onChange={(x) => form.set('clientId', x)}
          error={form.error('clientId')}
          options={[{ value: '', label: '–' }, ...(clients.data?.items ?? []).map((c) => ({ value: c.id, label: c.id }))]}
        />
        <FormProblem text={form.problem} />
        {result && (
          <div role="status" className="flex flex-wrap items-center gap-2">
            <StatusBadge tone={result.result === 'CR_SUCCESS' ? 'ok' : 'bad'}>{result.result}</StatusBadge>
            {result.spentMs !== undefined && <span>{f.span(result.spentMs)}</span>}
            {result.remark && <span className="text-ink-2">{result.remark}</span>}
          </div>
        )}
        <FormButtons form={form} submit={t('messages.consume')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
