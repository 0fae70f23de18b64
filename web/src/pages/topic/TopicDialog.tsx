import { call } from '@/api/client'
import { useAction, useApi, useIdempotencyKey } from '@/api/hooks'
import type { S } from '@/api/types'
import { Dialog } from '@/components/Dialog'
import { CheckField, FormButtons, FormProblem, NumberField, SelectField, TextField, useForm } from '@/components/Form'
import { useCluster } from '@/api/hooks'
import { useT } from '@/i18n'

const TYPES = ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED', 'LITE', 'PRIORITY', 'UNSPECIFIED'] as const

/** Creates a topic, or changes what one broker says about an existing one. */
export function TopicDialog({ name, config, etag, onClose }: { name?: string; config?: S['TopicConfig']; etag?: string; onClose: () => void }) {
  const t = useT()
  const cluster = useCluster()
  const idempotencyKey = useIdempotencyKey()
  const brokers = useApi('/clusters/{cluster}/brokers', { query: { limit: 1000 }, enabled: !config })
  const names = [...new Set((brokers.data?.items ?? []).map((b) => b.name))]
  const save = useAction(
    (v: typeof initial) => {
      const spec = { readQueues: v.readQueues, writeQueues: v.writeQueues, perm: Number(v.perm), order: v.order, messageType: v.messageType as S['MessageType'] }
      return config
        ? call('PUT', '/clusters/{cluster}/topics/{topic}', { params: { cluster, topic: name! }, body: { ...spec, brokers: [config.broker] }, ifMatch: etag })
        : call('POST', '/clusters/{cluster}/topics', { params: { cluster }, body: { ...spec, name: v.name, brokers: v.brokers.length > 0 ? v.brokers : undefined }, idempotencyKey })
    },
    { invalidate: ['/clusters/{cluster}/topics', '/clusters/{cluster}/topics/{topic}'], done: (_, v) => t(config ? 'topics.saved' : 'topics.created', { name: v.name }), onDone: onClose, quiet: true },
  )
  const initial = {
    name: name ?? '',
    messageType: config?.messageType ?? 'NORMAL',
    readQueues: config?.readQueues ?? 8,
    writeQueues: config?.writeQueues ?? 8,
    perm: String(config?.perm ?? 6),
    order: config?.order ?? false,
    brokers: [] as string[],
  }
  const queues = (n: number) => (n >= 1 && n <= 65535 ? undefined : t('topics.queuesBad'))
  const form = useForm(initial, (v) => save.mutateAsync(v), (v) => ({
    name: v.name === '' ? t('common.required') : /^[\w%|-]{1,127}$/.test(v.name) ? undefined : t('topics.nameBad'),
    readQueues: queues(v.readQueues),
    writeQueues: queues(v.writeQueues),
  }))
  const v = form.values
  return (
    <Dialog title={config ? `${t('topics.edit')} · ${config.broker}` : t('topics.create')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField mono label={t('common.name')} hint={config ? undefined : t('topics.nameHint')} readOnly={!!config} spellCheck={false} autoComplete="off" value={v.name} onChange={(x) => form.set('name', x)} error={form.error('name')} />
        <div className="grid grid-cols-2 gap-4">
          <SelectField label={t('topics.messageType')} value={v.messageType} onChange={(x) => form.set('messageType', x as S['MessageType'])} error={form.error('messageType')} options={TYPES.map((value) => ({ value, label: t(`topics.type_${value}`) }))} />
          <SelectField
            label={t('topics.perm')}
            value={v.perm}
            onChange={(x) => form.set('perm', x)}
            error={form.error('perm')}
            options={[
              { value: '6', label: t('topics.permBoth') },
              { value: '4', label: t('topics.permRead') },
              { value: '2', label: t('topics.permWrite') },
            ]}
          />
          <NumberField label={t('topics.readQueues')} min={1} max={65535} value={v.readQueues} onChange={(x) => form.set('readQueues', x)} error={form.error('readQueues')} />
          <NumberField label={t('topics.writeQueues')} min={1} max={65535} value={v.writeQueues} onChange={(x) => form.set('writeQueues', x)} error={form.error('writeQueues')} />
        </div>
        {config && v.readQueues < config.readQueues && <p className="rounded bg-warn-soft px-3 py-2 text-warn">{t('topics.shrinkHint')}</p>}
        <CheckField label={t('topics.order')} checked={v.order} onChange={(x) => form.set('order', x)} />
        {!config && names.length > 1 && (
          <fieldset className="m-0 border-0 p-0">
            <legend className="mb-1 p-0 font-medium">{t('topics.onBrokers')}</legend>
            <div className="flex flex-wrap gap-x-5 gap-y-1">
              {names.map((b) => (
                <CheckField key={b} label={<span className="name font-normal">{b}</span>} checked={v.brokers.includes(b)} onChange={(on) => form.set('brokers', on ? [...v.brokers, b] : v.brokers.filter((x) => x !== b))} />
              ))}
            </div>
            <p className="mt-1 text-xs text-ink-3">{t('topics.onBrokersHint')}</p>
          </fieldset>
        )}
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t(config ? 'common.save' : 'common.create')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
