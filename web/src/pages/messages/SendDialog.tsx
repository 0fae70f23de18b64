import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useCluster, useIdempotencyKey } from '@/api/hooks'
import { Dialog } from '@/components/Dialog'
import { CheckField, FormButtons, FormProblem, NumberField, SelectField, TextArea, TextField, useForm } from '@/components/Form'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import type { S } from '@/api/types'
import { Link } from '@tanstack/react-router'

/** name=value lines; null when a line has no name. */
function readProperties(text: string): Record<string, string> | null {
  const out: Record<string, string> = {}
  for (const line of text.split('\n')) {
    if (!line.trim()) continue
    const at = line.indexOf('=')
    if (at < 1) return null
    out[line.slice(0, at).trim()] = line.slice(at + 1).trim()
  }
  return out
}

/** Sends test messages; what the broker answered is shown, also when it did not store them. */
export function SendDialog({ topic, queues, onClose }: { topic: string; queues: { broker: string; queue: number }[]; onClose: () => void }) {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const key = useIdempotencyKey()
  const [round, setRound] = useState(0)
  const [results, setResults] = useState<S['SendResult'][] | null>(null)
  const initial = { body: '', encoding: 'utf8', tags: '', keys: '', properties: '', queue: '', delayMs: 0, count: 1, trace: true }
  const send = useAction(
    async (v: typeof initial) => {
      const at = v.queue.lastIndexOf(':')
      const answer: unknown = await call('POST', '/clusters/{cluster}/topics/{topic}/messages', {
        params: { cluster, topic },
        idempotencyKey: `${key}-${round}`,
        body: {
          body: v.body, encoding: v.encoding as 'utf8', trace: v.trace, count: v.count > 1 ? v.count : undefined,
          tags: v.tags || undefined, keys: v.keys.split(/\s+/).filter(Boolean), properties: readProperties(v.properties) ?? {},
          ...(at > 0 && { broker: v.queue.slice(0, at), queue: Number(v.queue.slice(at + 1)) }),
          ...(v.delayMs > 0 && { delayMs: v.delayMs * 1000 }),
        },
      })
      return ((answer as { items?: S['SendResult'][] }).items ?? [answer]) as S['SendResult'][]
    },
    {
      quiet: true,
      invalidate: ['/clusters/{cluster}/topics/{topic}/stats'],
      onDone: (r) => {
        setResults(r)
        setRound((n) => n + 1) // the next click sends another one
      },
    },
  )
  const form = useForm(initial, (v) => send.mutateAsync(v), (v) => ({
    properties: readProperties(v.properties) ? undefined : t('messages.badProperties'),
    count: v.count >= 1 && v.count <= 100 ? undefined : t('messages.badCount'),
    delayMs: v.delayMs >= 0 ? undefined : t('messages.badDelay'),
  }))
  const v = form.values
  return (
    <Dialog title={t('messages.sendTo', { topic })} onClose={onClose} width="max-w-2xl" locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <TextArea label={t('messages.body')} value={v.body} onChange={(x) => form.set('body', x)} error={form.error('body')} />
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField label={t('messages.encoding')} value={v.encoding} onChange={(x) => form.set('encoding', x)} error={form.error('encoding')} options={[{ value: 'utf8', label: 'UTF-8' }, { value: 'base64', label: 'Base64' }]} />
          <SelectField label={t('common.queue')} value={v.queue} onChange={(x) => form.set('queue', x)} options={[{ value: '', label: t('messages.anyQueue') }, ...queues.map((q) => ({ value: `${q.broker}:${q.queue}`, label: `${q.broker} / ${q.queue}` }))]} />
          <TextField mono label={t('messages.tags')} value={v.tags} onChange={(x) => form.set('tags', x)} error={form.error('tags')} />
          <TextField mono label={t('messages.keys')} hint={t('messages.keysHint')} value={v.keys} onChange={(x) => form.set('keys', x)} error={form.error('keys')} />
          <NumberField label={t('messages.delay')} min={0} value={v.delayMs} onChange={(x) => form.set('delayMs', x)} error={form.error('delayMs')} />
          <NumberField label={t('messages.count')} min={1} max={100} value={v.count} onChange={(x) => form.set('count', x)} error={form.error('count')} />
        </div>
        <TextArea rows={2} label={t('messages.properties')} hint={t('messages.propertiesHint')} value={v.properties} onChange={(x) => form.set('properties', x)} error={form.error('properties')} />
        <CheckField label={t('messages.traced')} checked={v.trace} onChange={(x) => form.set('trace', x)} />
        <FormProblem text={form.problem} />
        {results && (
          <ul role="status" className="m-0 max-h-40 list-none overflow-y-auto rounded border bg-sunken p-2">
            {results.map((r, i) => (
              <li key={i} className="flex flex-wrap gap-x-3">
                <b className={r.status === 'SEND_OK' ? 'text-ok' : 'text-bad'}>{r.status}</b>
                {r.offsetId ? <Link className="link name break-all" to="/c/$c/messages/$m" params={{ c: cluster, m: r.offsetId } as never} search={{ topic } as never}>{r.id ?? r.offsetId}</Link> : <span className="name break-all">{r.id}</span>}
                <span className="name text-ink-2">{r.broker}{r.queue !== undefined && ` / ${r.queue}`}{r.offset !== undefined && ` @ ${f.int(r.offset)}`}</span>
                {r.error && <span className="text-bad">{r.error.detail}</span>}
              </li>
            ))}
          </ul>
        )}
        <FormButtons form={form} submit={t('messages.send')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
