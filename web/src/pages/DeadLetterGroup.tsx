import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { Download, MailCheck, RotateCw, Send, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { newKey, useAction, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { Button } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { Menu, MenuItem } from '@/components/Menu'
import { PlanConfirm } from '@/components/PlanConfirm'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { useUrlState } from '@/lib/url'
import { ResendDead } from './dlq/ResendDead'
import { JobDialog } from './jobs/JobDialog'
import { messageKey, MessageTable } from './messages/MessageTable'
import { ofPredicate, SearchBar } from './messages/SearchBar'
import { SearchFoot } from './messages/SearchFoot'
import { useMessageSearch } from './messages/useMessageSearch'

/** The dead letters of one group: look, send again, export, purge. */
export default function DeadLetterGroup() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const navigate = useNavigate()
  const operator = useMay('operator')
  const reader = useMay('reader')
  const admin = useMay('admin')
  const { g: group = '' } = useParams({ strict: false }) as { g?: string }
  const [, setRange] = useUrlState('range')
  const [selected, setSelected] = useState<Set<string>>(new Set())
  const [resend, setResend] = useState<S['DLQSelection'] | null>(null)
  const [purging, setPurging] = useState(false)
  const [job, setJob] = useState<string | null>(null)
  const params = { cluster, group }
  const s = useMessageSearch('/clusters/{cluster}/dlq/{group}/messages', params, '7d')
  const noTopic = s.error?.code === 'topicNotFound' // the topic is made with the first dead letter
  const chosen = (s.rows ?? []).filter((m) => selected.has(messageKey(m)))
  // The window that the search used, so that what is done matches what is seen.
  const range = { from: s.last?.from ?? s.query.from, to: s.last?.to ?? s.query.to }
  const selection: S['DLQSelection'] = chosen.length > 0 ? { refs: chosen.map(({ broker, queue, offset }) => ({ broker, queue, offset })) } : range
  const exporting = useAction((format: 'csv' | 'jsonl') => call('POST', '/clusters/{cluster}/dlq/{group}/export', { params, body: { ...selection, format }, idempotencyKey: newKey() }), { invalidate: ['/jobs'], onDone: (j) => setJob(j.id) })
  const what = chosen.length > 0 ? t('dlq.selected', { count: chosen.length, n: f.int(chosen.length) }) : t('dlq.wholeRange')
  return (
    <Page
      title={t('dlq.of', { group })}
      eyebrow={<Link to="/c/$c/dlq" params={{ c: cluster } as never} className="hover:text-ink">{t('dlq.title')}</Link>}
      actions={
        <>
          <Link className="btn" to="/c/$c/groups/$g" params={{ c: cluster, g: group } as never}>{t('dlq.toGroup')}</Link>
          {admin && (
            <Button kind="danger-line" onClick={() => setPurging(true)}>
              <Trash2 aria-hidden className="size-3.5" />
              {t('dlq.purge')}
            </Button>
          )}
        </>
      }
    >
      <PartialBanner errors={s.errors} />
      <Panel flush>
        <SearchBar span="7d" error={s.error}>
          <span className="ml-auto flex items-center gap-2">
            <Button busy={s.busy} onClick={s.again}>
              {!s.busy && <RotateCw aria-hidden className="size-3.5" />}
              {t('messages.searchAgain')}
            </Button>
          </span>
        </SearchBar>
        {s.rows && s.rows.length > 0 && (
          <div className="flex flex-wrap items-center gap-2 border-b bg-sunken px-3 py-1.5">
            <span className="text-ink-2" role="status">{what}</span>
            {operator && (
              <Button small kind="primary" onClick={() => setResend(selection)}>
                <Send aria-hidden className="size-3.5" />
                {chosen.length > 0 ? t('dlq.resendSelected') : t('dlq.resendRange')}
              </Button>
            )}
            {reader && (
              <Menu label={t('dlq.export')} className="btn btn-sm" trigger={<><Download aria-hidden className="size-3.5" />{t('dlq.export')}</>}>
                <MenuItem onSelect={() => exporting.mutate('csv')}>CSV</MenuItem>
                <MenuItem onSelect={() => exporting.mutate('jsonl')}>JSON lines</MenuItem>
              </Menu>
            )}
            {chosen.length > 0 && <Button small kind="quiet" onClick={() => setSelected(new Set())}>{t('dlq.unselect')}</Button>}
          </div>
        )}
        {!ofPredicate(s.error) && (
          <MessageTable
            id={`dlq-${group}`}
            rows={noTopic ? [] : s.rows}
            error={noTopic ? undefined : s.error}
            onRetry={s.retry}
            selection={operator || reader ? { selected, onChange: setSelected } : undefined}
            empty={
              <EmptyState icon={MailCheck} title={t('dlq.none')} action={<Button onClick={() => setRange('30d')}>{t('messages.wider')}</Button>}>
                {t('dlq.noneHint')}
              </EmptyState>
            }
          />
        )}
        <SearchFoot search={s} />
      </Panel>
      {resend && (
        <ResendDead
          params={params}
          selection={resend}
          onClose={() => setResend(null)}
          onStarted={(id) => {
            setResend(null)
            setSelected(new Set())
            setJob(id)
          }}
        />
      )}
      {job && <JobDialog id={job} onClose={() => setJob(null)} />}
      {purging && (
        <PlanConfirm
          title={t('dlq.purgeTitle')}
          type={group}
          action={t('dlq.purge')}
          run={(dryRun) => call('POST', '/clusters/{cluster}/dlq/{group}/purge', { params, query: { dryRun: dryRun || undefined } })}
          onDone={() => {
            toast('ok', t('dlq.purged', { group }))
            void navigate({ to: '/c/$c/dlq' as '/', params: { c: cluster } as never })
          }}
          onClose={() => setPurging(false)}
        >
          <p className="text-ink-2">{t('dlq.purgeHint')}</p>
        </PlanConfirm>
      )}
    </Page>
  )
}
