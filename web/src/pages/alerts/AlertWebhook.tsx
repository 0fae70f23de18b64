import { call } from '@/api/client'
import { useAction, useApi } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { FormButtons, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { Panel, Skeleton, Stat, Stats } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'

/** Where messages about alerts go. */
export function AlertWebhook() {
  const t = useT()
  const f = useFormats()
  const q = useApi('/alerts/settings')
  if (q.error && !q.data) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!q.data) return <Skeleton lines={5} />
  return (
    <>
      <Stats>
        <Stat label={t('alerts.told')} value={f.int(q.data.told)} />
        <Stat label={t('alerts.failedAttempts')} value={f.int(q.data.failedAttempts)} tone={q.data.failedAttempts === '0' ? undefined : 'warn'} />
        <Stat label={t('alerts.droppedMessages')} value={f.int(q.data.dropped)} tone={q.data.dropped === '0' ? undefined : 'bad'} />
      </Stats>
      <Settings key={`${q.data.webhook} ${q.data.format}`} settings={q.data} />
    </>
  )
}

function Settings({ settings }: { settings: S['AlertSettings'] }) {
  const t = useT()
  const admin = useMay('admin')
  const initial = { webhook: settings.webhook, format: settings.format, secret: '' }
  const save = useAction(({ secret, ...v }: typeof initial) => call('PUT', '/alerts/settings', { body: { ...v, webhook: v.webhook.trim(), ...(secret && { secret }) } }), { invalidate: ['/alerts/settings'], quiet: true, done: () => t('alerts.webhookSaved') })
  const form = useForm(initial, (v) => save.mutateAsync(v))
  const v = form.values
  return (
    <Panel title={t('alerts.webhook')}>
      <form onSubmit={form.submit} noValidate className="flex max-w-2xl flex-col gap-4">
        <TextField mono type="url" readOnly={!admin} label={t('alerts.webhookURL')} hint={t('alerts.webhookHint')} value={v.webhook} onChange={(x) => form.set('webhook', x)} error={form.error('webhook')} />
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField disabled={!admin} label={t('alerts.format')} value={v.format} onChange={(x) => form.set('format', x as 'json')} error={form.error('format')} options={(['json', 'dingtalk', 'wecom'] as const).map((value) => ({ value, label: t(`alerts.format_${value}`) }))} />
          <TextField mono type="password" autoComplete="off" readOnly={!admin} label={t('alerts.secret')} hint={settings.secretSet ? t('alerts.secretKeep') : t('alerts.secretHint')} value={v.secret} onChange={(x) => form.set('secret', x)} error={form.error('secret')} />
        </div>
        <FormProblem text={form.problem} />
        {admin && <FormButtons form={form} submit={t('common.save')} />}
      </form>
    </Panel>
  )
}
