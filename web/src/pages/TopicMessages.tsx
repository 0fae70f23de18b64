import { Link, useParams } from '@tanstack/react-router'
import { FileOutput, MailSearch, RotateCw, Send } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { newKey, useAction, useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import { PartialBanner } from '@/components/Banner'
import { Segments } from '@/components/BodyView'
import { Button } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { Menu, MenuItem } from '@/components/Menu'
import { useT } from '@/i18n'
import { useUrlState } from '@/lib/url'
import { JobDialog } from './jobs/JobDialog'
import { LiveTail } from './messages/LiveTail'
import { MessageTable } from './messages/MessageTable'
import { ofPredicate, SearchBar } from './messages/SearchBar'
import { SearchFoot } from './messages/SearchFoot'
import { SendDialog } from './messages/SendDialog'
import { useMessageSearch } from './messages/useMessageSearch'

export default function TopicMessages() {
  const t = useT()
  const cluster = useCluster()
  const reader = useMay('reader')
  const operator = useMay('operator')
  const { t: topic = '' } = useParams({ strict: false }) as { t?: string }
  const [follow, setFollow] = useUrlState('follow')
  const [sending, setSending] = useState(false)
  const stats = useApi('/clusters/{cluster}/topics/{topic}/stats', { params: { cluster, topic } })
  return (
    <Page
      title={t('messages.of', { topic })}
      eyebrow={
        <>
          <Link to="/c/$c/topics" params={{ c: cluster } as never} className="hover:text-ink">{t('topics.title')}</Link> /{' '}
          <Link to="/c/$c/topics/$t" params={{ c: cluster, t: topic } as never} className="name hover:text-ink">{topic}</Link>
        </>
      }
      actions={
        <>
          {reader && <Segments label={t('messages.mode')} value={follow === '1' ? 'tail' : 'search'} onChange={(v) => setFollow(v === 'tail' ? '1' : '')} items={[{ value: 'search', label: t('messages.search') }, { value: 'tail', label: t('messages.tail') }]} />}
          {operator && (
            <Button onClick={() => setSending(true)}>
              <Send aria-hidden className="size-3.5" />
              {t('messages.send')}
            </Button>
          )}
        </>
      }
    >
      {follow === '1' && reader ? <LiveTail topic={topic} queues={stats.data?.items} /> : <Found topic={topic} queues={stats.data?.items} />}
      {sending && <SendDialog topic={topic} queues={stats.data?.items ?? []} onClose={() => setSending(false)} />}
    </Page>
  )
}

function Found({ topic, queues }: { topic: string; queues: { broker: string; queue: number }[] | undefined }) {
  const t = useT()
  const cluster = useCluster()
  const reader = useMay('reader')
  const [, setRange] = useUrlState('range')
  const [job, setJob] = useState<string | null>(null)
  const params = { cluster, topic }
  const s = useMessageSearch('/clusters/{cluster}/topics/{topic}/messages', params, '1h')
  const { broker: _b, queue: _q, order: _o, ...what } = s.query
  const exporting = useAction((format: 'csv' | 'jsonl') => call('POST', '/clusters/{cluster}/topics/{topic}/messages/export', { params, body: { ...what, format }, idempotencyKey: newKey() }), { onDone: (j) => setJob(j.id), invalidate: ['/jobs'] })
  return (
    <>
      <PartialBanner errors={s.errors} />
      <Panel flush>
        <SearchBar span="1h" queues={queues} error={s.error}>
          <span className="ml-auto flex items-center gap-2">
            <Button busy={s.busy} onClick={s.again}>
              {!s.busy && <RotateCw aria-hidden className="size-3.5" />}
              {t('messages.searchAgain')}
            </Button>
            {reader && (
              <Menu label={t('messages.exportAll')} trigger={<FileOutput aria-hidden className="size-4" />}>
                <MenuItem onSelect={() => exporting.mutate('csv')}>{t('messages.exportAllAs', { format: 'CSV' })}</MenuItem>
                <MenuItem onSelect={() => exporting.mutate('jsonl')}>{t('messages.exportAllAs', { format: 'JSON lines' })}</MenuItem>
              </Menu>
            )}
          </span>
        </SearchBar>
        {!ofPredicate(s.error) && (
          <MessageTable
            id={`messages-${topic}`}
            rows={s.rows}
            error={s.error}
            onRetry={s.retry}
            sort={s.query.order === 'oldest' ? 'store' : '-store'}
            empty={
              <EmptyState icon={MailSearch} title={t('messages.none')} action={<Button onClick={() => setRange('30d')}>{t('messages.wider')}</Button>}>
                {t('messages.noneHint')}
              </EmptyState>
            }
          />
        )}
        <SearchFoot search={s} />
      </Panel>
      {job && <JobDialog id={job} onClose={() => setJob(null)} />}
    </>
  )
}
