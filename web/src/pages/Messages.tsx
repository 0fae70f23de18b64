import { MailSearch, Search } from 'lucide-react'
import { useApi, useCluster, useList } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { FormProblem, SelectField, TextField, useForm, Button } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { useSearchState, useSetSearch } from '@/lib/url'
import { MessageTable } from './messages/MessageTable'

/** Looks for messages by id or key. What was asked is in the URL. */
export default function Messages() {
  const t = useT()
  const cluster = useCluster()
  const s = useSearchState()
  const asked = !!(s.id || s.key)
  const q = useApi('/clusters/{cluster}/messages', { params: { cluster }, query: { id: s.id, key: s.id ? undefined : s.key, topic: s.topic, limit: 100 }, enabled: asked })
  return (
    <Page title={t('messages.lookup')}>
      <Ask key={`${s.id}|${s.key}|${s.topic}`} />
      <PartialBanner errors={q.data?.errors} />
      <Panel flush>
        {asked ? (
          <MessageTable id="found" showTopic rows={q.data?.items} error={q.error} onRetry={() => void q.refetch()} empty={<EmptyState icon={MailSearch} title={t('messages.notFound')}>{t('messages.notFoundHint')}</EmptyState>} />
        ) : (
          <EmptyState icon={Search} title={t('messages.askFirst')}>{t('messages.askFirstHint')}</EmptyState>
        )}
      </Panel>
    </Page>
  )
}

function Ask() {
  const t = useT()
  const s = useSearchState()
  const set = useSetSearch()
  const topics = useList('/clusters/{cluster}/topics', { query: { type: 'all' } })
  const form = useForm(
    { by: s.key ? 'key' : 'id', value: s.id ?? s.key ?? '', topic: s.topic ?? '' },
    async (v) => set({ id: v.by === 'id' ? v.value.trim() : undefined, key: v.by === 'key' ? v.value.trim() : undefined, topic: v.topic.trim() || undefined }, { push: true }),
    (v) => ({ value: v.value.trim() ? undefined : t('common.required'), topic: v.by === 'key' && !v.topic.trim() ? t('messages.keyNeedsTopic') : undefined }),
  )
  const v = form.values
  return (
    <Panel>
      <form onSubmit={form.submit} noValidate className="grid items-start gap-3 sm:grid-cols-[130px_minmax(0,2fr)_minmax(0,1fr)_auto]">
        <SelectField label={t('messages.lookBy')} value={v.by} onChange={(x) => form.set('by', x)} options={[{ value: 'id', label: t('messages.id') }, { value: 'key', label: t('messages.key') }]} />
        <TextField mono data-filter spellCheck={false} label={v.by === 'id' ? t('messages.id') : t('messages.key')} value={v.value} onChange={(x) => form.set('value', x)} error={form.error('value')} hint={v.by === 'id' ? t('messages.idHint') : undefined} />
        <TextField mono list="lookup-topics" spellCheck={false} label={t('common.topic')} value={v.topic} onChange={(x) => form.set('topic', x)} error={form.error('topic')} hint={v.by === 'id' ? t('messages.topicHint') : undefined} />
        <datalist id="lookup-topics">
          {topics.data?.items.slice(0, 5000).map((x) => <option key={x.name} value={x.name} />)}
        </datalist>
        <Button kind="primary" type="submit" className="sm:mt-[22px]">{t('messages.find')}</Button>
        <FormProblem text={form.problem} />
      </form>
    </Panel>
  )
}
