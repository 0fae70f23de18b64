import { call } from '@/api/client'
import { useAction, useCluster, useIdempotencyKey } from '@/api/hooks'
import type { S } from '@/api/types'
import { Dialog } from '@/components/Dialog'
import { CheckField, FormButtons, FormProblem, NumberField, TextField, useForm } from '@/components/Form'
import { useT } from '@/i18n'

/** Creates a group, or changes what one broker says about an existing one. */
export function GroupDialog({ name, config, onClose }: { name?: string; config?: S['GroupConfig']; onClose: () => void }) {
  const t = useT()
  const cluster = useCluster()
  const idempotencyKey = useIdempotencyKey()
  const initial = {
    name: name ?? '',
    consumeEnable: config?.consumeEnable ?? true,
    consumeMessageOrderly: config?.consumeMessageOrderly ?? false,
    consumeBroadcastEnable: config?.consumeBroadcastEnable ?? true,
    consumeFromMinEnable: config?.consumeFromMinEnable ?? true,
    notifyConsumerIdsChanged: config?.notifyConsumerIdsChanged ?? true,
    retryMaxTimes: config?.retryMaxTimes ?? 16,
    retryQueues: config?.retryQueues ?? 1,
    consumeTimeoutMinutes: config?.consumeTimeoutMinutes ?? 15,
    brokerId: config?.brokerId ?? 0,
    whichBrokerWhenSlow: config?.whichBrokerWhenSlow ?? 1,
  }
  const save = useAction(
    (v: typeof initial) => {
      const { name: wanted, ...spec } = v
      return config
        ? call('PUT', '/clusters/{cluster}/groups/{group}', { params: { cluster, group: name! }, body: { ...spec, brokers: [config.broker] } })
        : call('POST', '/clusters/{cluster}/groups', { params: { cluster }, body: { ...spec, name: wanted }, idempotencyKey })
    },
    { invalidate: ['/clusters/{cluster}/groups', '/clusters/{cluster}/groups/{group}'], done: (_, v) => t(config ? 'groups.saved' : 'groups.created', { name: v.name }), onDone: onClose, quiet: true },
  )
  const least = (n: number, min: number) => (n >= min ? undefined : t(min === -1 ? 'groups.atLeast' : 'groups.notNegative'))
  const form = useForm(initial, (v) => save.mutateAsync(v), (v) => ({
    name: v.name === '' ? t('common.required') : /^[\w%|-]{1,255}$/.test(v.name) ? undefined : t('groups.nameBad'),
    retryMaxTimes: least(v.retryMaxTimes, -1),
    retryQueues: least(v.retryQueues, 0),
    consumeTimeoutMinutes: least(v.consumeTimeoutMinutes, 0),
    brokerId: least(v.brokerId, 0),
    whichBrokerWhenSlow: least(v.whichBrokerWhenSlow, 0),
  }))
  const v = form.values
  const number = (key: 'retryMaxTimes' | 'retryQueues' | 'consumeTimeoutMinutes' | 'brokerId' | 'whichBrokerWhenSlow') => (
    <NumberField label={t(`groups.${key}`)} value={v[key]} onChange={(x) => form.set(key, x)} error={form.error(key)} />
  )
  const check = (key: 'consumeBroadcastEnable' | 'consumeMessageOrderly' | 'consumeFromMinEnable' | 'notifyConsumerIdsChanged') => (
    <CheckField label={t(`groups.${key}`)} checked={v[key]} onChange={(x) => form.set(key, x)} />
  )
  return (
    <Dialog title={config ? `${t('groups.edit')} · ${config.broker}` : t('groups.create')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextField mono label={t('common.name')} hint={config ? undefined : t('groups.nameHint')} readOnly={!!config} spellCheck={false} autoComplete="off" value={v.name} onChange={(x) => form.set('name', x)} error={form.error('name')} />
        <div className="flex flex-col gap-2">
          <CheckField label={t('groups.consumeEnable')} hint={t('groups.consumeEnableHint')} checked={v.consumeEnable} onChange={(x) => form.set('consumeEnable', x)} />
          {check('consumeMessageOrderly')}
          {check('consumeBroadcastEnable')}
          {check('consumeFromMinEnable')}
          {check('notifyConsumerIdsChanged')}
        </div>
        <div className="grid grid-cols-2 items-end gap-4">
          {number('retryMaxTimes')}
          {number('retryQueues')}
          {number('consumeTimeoutMinutes')}
          {number('brokerId')}
          {number('whichBrokerWhenSlow')}
        </div>
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t(config ? 'common.save' : 'common.create')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
