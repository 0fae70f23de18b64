import { Link } from '@tanstack/react-router'
import { AlarmClock, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi, useCluster, useIdempotencyKey } from '@/api/hooks'
import { useMay } from '@/api/session'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Button, FormButtons, FormProblem, TextField, useForm } from '@/components/Form'
import { EmptyState, Page, Panel, Skeleton, Stat, Stats } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { toBig, toNum, useFormats } from '@/lib/format'

/** What waits for its time: when it is due, for which topics, on which brokers. */
export default function Delayed() {
  const t = useT()
  const f = useFormats()
  const c = useCluster()
  const operator = useMay('operator')
  const [recalling, setRecalling] = useState(false)
  const q = useApi('/clusters/{cluster}/delayed', { every: 5_000, keep: true })
  const d = q.data
  const most = Math.max(1, ...(d?.bounds ?? []).map((b) => toNum(b.count) ?? 0))
  const before = (i: number) => (i > 0 ? (d?.bounds?.[i - 1]?.upToMs ?? 0) : 0)
  return (
    <Page
      title={t('delayed.title')}
      actions={
        operator && (
          <Button onClick={() => setRecalling(true)}>
            <Undo2 aria-hidden className="size-3.5" />
            {t('delayed.recall')}
          </Button>
        )
      }
    >
      {q.error && !d ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !d ? (
        <Skeleton lines={6} />
      ) : (
        <>
          <PartialBanner errors={d.errors} />
          <Stats>
            <Stat label={t('brokers.timerBacklog')} value={f.int(d.backlog)} />
            <Stat label={t('delayed.topics')} value={f.int(d.topics.length)} />
          </Stats>
          <div className="grid items-start gap-4 lg:grid-cols-2">
            <Panel title={t('brokers.timerTopics')} flush>
              <DataTable
                plain
                id="delayed"
                label={t('brokers.timerTopics')}
                rows={d.topics}
                rowKey={(r) => r.topic}
                sort="-count"
                columns={[
                  { id: 'topic', label: t('common.topic'), value: (r) => r.topic, cell: (r) => <Link className="link name" to="/c/$c/topics/$t" params={{ c, t: r.topic } as never}>{r.topic}</Link> },
                  { id: 'count', label: t('brokers.count'), value: (r) => toBig(r.count), format: 'int' },
                  { id: 'updated', label: t('delayed.updated'), value: (r) => r.updated, format: 'ago' },
                ]}
                empty={<EmptyState icon={AlarmClock} title={t('brokers.timerEmpty')}>{t('delayed.emptyHint')}</EmptyState>}
              />
            </Panel>
            <div className="flex min-w-0 flex-col gap-4">
              {d.bounds && d.bounds.length > 0 && (
                <Panel title={t('delayed.due')} flush>
                  <table className="grid-table" aria-label={t('delayed.due')}>
                    <thead>
                      <tr>
                        <th>{t('delayed.within')}</th>
                        <th className="num">{t('brokers.count')}</th>
                        <th className="w-1/2"><span className="sr-only">{t('delayed.share')}</span></th>
                      </tr>
                    </thead>
                    <tbody>
                      {d.bounds.map((b, i) => (
                        <tr key={b.upToMs}>
                          <td>{b.upToMs === 0 ? t('delayed.later', { span: f.span(before(i)) }) : f.span(b.upToMs)}</td>
                          <td className="num">{f.int(b.count)}</td>
                          <td aria-hidden><span className="block h-2 rounded-sm bg-accent" style={{ width: `${((toNum(b.count) ?? 0) / most) * 100}%` }} /></td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </Panel>
              )}
              <Panel title={t('brokers.title')} flush>
                <DataTable
                  plain
                  id="delayed-brokers"
                  urlKey="b"
                  label={t('brokers.title')}
                  rows={d.brokers}
                  rowKey={(r) => r.broker}
                  sort="broker"
                  columns={[
                    { id: 'broker', label: t('common.broker'), value: (r) => r.broker, format: 'name' },
                    { id: 'state', label: t('common.state'), value: (r) => (r.supported ? 0 : 1), cell: (r) => <StatusBadge tone={r.supported ? 'ok' : 'idle'} title={r.supported ? undefined : t('brokers.timerOff')}>{r.supported ? t('common.on') : t('common.off')}</StatusBadge> },
                    { id: 'backlog', label: t('brokers.timerBacklog'), value: (r) => toBig(r.backlog), format: 'int' },
                    { id: 'delivered', label: t('brokers.timerDelivered'), value: (r) => r.delivered, format: 'time' },
                  ]}
                />
              </Panel>
            </div>
          </div>
        </>
      )}
      {recalling && <Recall cluster={c} onClose={() => setRecalling(false)} />}
    </Page>
  )
}

/** Takes a delayed message back by the handle that its producer got. */
function Recall({ cluster, onClose }: { cluster: string; onClose: () => void }) {
  const t = useT()
  const key = useIdempotencyKey()
  const recall = useAction((v: { topic: string; handle: string }) => call('POST', '/clusters/{cluster}/delayed/recall', { params: { cluster }, body: { topic: v.topic.trim(), handle: v.handle.trim() }, idempotencyKey: `${key}-${v.handle}` }), {
    quiet: true,
    invalidate: ['/clusters/{cluster}/delayed'],
    done: (r) => t('delayed.recalled', { id: r.id }),
    onDone: onClose,
  })
  const form = useForm({ topic: '', handle: '' }, (v) => recall.mutateAsync(v), (v) => ({ topic: v.topic.trim() ? undefined : t('common.required'), handle: v.handle.trim() ? undefined : t('common.required') }))
  return (
    <Dialog title={t('delayed.recall')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <p className="text-ink-2">{t('delayed.recallHint')}</p>
        <TextField mono label={t('common.topic')} value={form.values.topic} onChange={(v) => form.set('topic', v)} error={form.error('topic')} />
        <TextField mono label={t('delayed.handle')} value={form.values.handle} onChange={(v) => form.set('handle', v)} error={form.error('handle')} />
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('delayed.recall')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
