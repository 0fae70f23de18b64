import { Waypoints } from 'lucide-react'
import { useCluster } from '@/api/hooks'
import { Button, SelectField, TextField, useForm } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { useSearchState, useSetSearch } from '@/lib/url'
import { TraceView } from './messages/TraceView'

export default function Trace() {
  const t = useT()
  const cluster = useCluster()
  const s = useSearchState()
  const what = s.id ?? s.key
  return (
    <Page title={t('trace.title')}>
      <Ask key={`${s.id}|${s.key}|${s.topic}|${s.traceTopic}`} />
      <Panel>
        {what ? <TraceView cluster={cluster} message={what} topic={s.topic} by={s.id ? 'id' : 'key'} traceTopic={s.traceTopic} /> : <EmptyState icon={Waypoints} title={t('trace.askFirst')}>{t('trace.askFirstHint')}</EmptyState>}
      </Panel>
    </Page>
  )
}

function Ask() {
  const t = useT()
  const s = useSearchState()
  const set = useSetSearch()
  const form = useForm(
    { by: s.key ? 'key' : 'id', value: s.id ?? s.key ?? '', topic: s.topic ?? '', traceTopic: s.traceTopic ?? '' },
    async (v) => set({ id: v.by === 'id' ? v.value.trim() : undefined, key: v.by === 'key' ? v.value.trim() : undefined, topic: v.topic.trim() || undefined, traceTopic: v.traceTopic.trim() || undefined }, { push: true }),
    (v) => ({ value: v.value.trim() ? undefined : t('common.required') }),
  )
  const v = form.values
  return (
    <Panel>
      <form onSubmit={form.submit} noValidate className="grid items-start gap-3 sm:grid-cols-2 lg:grid-cols-[130px_2fr_1fr_1fr_auto]">
        <SelectField label={t('messages.lookBy')} value={v.by} onChange={(x) => form.set('by', x)} options={[{ value: 'id', label: t('messages.id') }, { value: 'key', label: t('messages.key') }]} />
        <TextField mono data-filter spellCheck={false} label={v.by === 'id' ? t('messages.id') : t('messages.key')} value={v.value} onChange={(x) => form.set('value', x)} error={form.error('value')} />
        <TextField mono spellCheck={false} label={t('common.topic')} value={v.topic} onChange={(x) => form.set('topic', x)} />
        <TextField mono spellCheck={false} label={t('trace.traceTopic')} placeholder="RMQ_SYS_TRACE_TOPIC" value={v.traceTopic} onChange={(x) => form.set('traceTopic', x)} />
        <Button kind="primary" type="submit" className="sm:mt-[22px]">{t('messages.find')}</Button>
      </form>
    </Panel>
  )
}
