import { useQueryClient } from '@tanstack/react-query'
import { Download } from 'lucide-react'
import { useEffect } from 'react'
import { apiURL, call } from '@/api/client'
import { useAction, useApi } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Button } from '@/components/Form'
import { Facts, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge, type Tone } from '@/components/Status'
import { useMaybeT, useT } from '@/i18n'
import { toNum, useFormats } from '@/lib/format'

const TONES: Record<S['Job']['state'], Tone> = { queued: 'idle', running: 'info', done: 'ok', failed: 'bad', cancelled: 'idle' }
export const underWay = (j: S['Job'] | undefined) => j?.state === 'queued' || j?.state === 'running'

/** done, but not with every message, is no success. */
export function JobState({ job }: { job: S['Job'] }) {
  const t = useT()
  const some = job.state === 'done' && BigInt(job.failed) > 0n
  return <StatusBadge tone={some ? 'warn' : TONES[job.state]}>{some ? t('jobs.doneSome') : t(`jobs.state_${job.state}`)}</StatusBadge>
}

export function JobProgress({ job }: { job: S['Job'] }) {
  const t = useT()
  const f = useFormats()
  const total = toNum(job.total)
  const done = toNum(job.done) ?? 0 // failed ones too
  const text = total ? t('jobs.ofTotal', { done: f.int(done), total: f.int(total) }) : t('jobs.soFar', { done: f.int(done) })
  return (
    <span className="inline-flex min-w-40 items-center gap-2">
      {total ? (
        <span role="progressbar" aria-label={t('jobs.progress')} aria-valuemin={0} aria-valuemax={total} aria-valuenow={done} className="h-1.5 w-20 overflow-hidden rounded-full bg-line">
          <span className="block h-full rounded-full bg-accent" style={{ width: `${Math.min(100, (done / total) * 100)}%` }} />
        </span>
      ) : null}
      <span>{text}</span>
    </span>
  )
}

/** One job while it runs and after: progress, cancel, what failed and why, its result. */
export function JobDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useT()
  const f = useFormats()
  const maybe = useMaybeT()
  const reader = useMay('reader')
  const operator = useMay('operator')
  const client = useQueryClient()
  const q = useApi('/jobs/{job}', { params: { job: id }, every: 1_000 })
  const j = q.data
  const running = underWay(j)
  const cancel = useAction(() => call('DELETE', '/jobs/{job}', { params: { job: id } }), { invalidate: ['/jobs', '/jobs/{job}'] })
  useEffect(() => {
    if (j && !running) void client.invalidateQueries({ queryKey: ['/jobs'] })
  }, [j, running, client])
  return (
    <Dialog
      title={j ? t(`jobs.kind_${j.kind}`) : t('jobs.one')}
      onClose={onClose}
      width="max-w-3xl"
      footer={
        <>
          {running && operator && <Button kind="danger-line" busy={cancel.isPending} onClick={() => cancel.mutate()}>{t('jobs.cancel')}</Button>}
          {j?.hasResult && reader && (
            <a className="btn btn-primary" href={apiURL('/jobs/{job}/result', { job: id })} download={j.resultName}>
              <Download aria-hidden className="size-3.5" />
              {t('jobs.result')}
            </a>
          )}
          <Button onClick={onClose}>{t('common.close')}</Button>
        </>
      }
    >
      {q.error && !j ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !j ? (
        <Skeleton lines={5} />
      ) : (
        <div className="flex flex-col gap-4">
          <div className="flex flex-wrap items-center gap-4" aria-live="polite">
            <JobState job={j} />
            <JobProgress job={j} />
          </div>
          <Facts
            items={[
              { label: t('jobs.target'), value: <span className="name">{j.target}</span> },
              { label: t('common.cluster'), value: j.cluster },
              { label: t('jobs.ok'), value: f.int(BigInt(j.done) - BigInt(j.failed)) },
              { label: t('jobs.failed'), value: <span className={BigInt(j.failed) > 0n ? 'font-semibold text-bad' : ''}>{f.int(j.failed)}</span> },
              { label: t('jobs.created'), value: f.time(j.created) },
              { label: t('jobs.finished'), value: f.time(j.finished) },
              ...(j.user ? [{ label: t('jobs.user'), value: j.user }] : []),
            ]}
          />
          {j.detail && <p className="text-ink-2">{j.detail}</p>}
          {j.failures && j.failures.length > 0 && (
            <div>
              <div className="eyebrow mb-1">{t('jobs.failures')}</div>
              <DataTable
                id={`job-${id}`}
                urlKey="f"
                label={t('jobs.failures')}
                rows={j.failures}
                rowKey={(r) => `${r.item} ${r.code}`}
                columns={[
                  { id: 'item', label: t('jobs.item'), value: (r) => r.item, format: 'name' },
                  { id: 'why', label: t('jobs.why'), value: (r) => [maybe(`errors.${r.code}`) ?? r.code, r.detail].filter(Boolean).join(' '), className: 'whitespace-normal' },
                ]}
              />
            </div>
          )}
        </div>
      )}
    </Dialog>
  )
}
