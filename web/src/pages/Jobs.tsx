import { ListTodo } from 'lucide-react'
import { call } from '@/api/client'
import { useAction, useList } from '@/api/hooks'
import { useMay } from '@/api/session'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Page, Panel } from '@/components/Layout'
import { useT } from '@/i18n'
import { useUrlState } from '@/lib/url'
import { JobDialog, JobProgress, JobState } from './jobs/JobDialog'

export default function Jobs() {
  const t = useT()
  const operator = useMay('operator')
  const [open, setOpen] = useUrlState('job')
  const q = useList('/jobs', { every: 2_000, keep: true })
  const remove = useAction((id: string) => call('DELETE', '/jobs/{job}', { params: { job: id } }), { invalidate: ['/jobs'] })
  return (
    <Page title={t('jobs.title')}>
      <Panel flush>
        <DataTable
          id="jobs"
          label={t('jobs.title')}
          rows={q.data?.items}
          rowKey={(r) => r.id}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="-created"
          columns={[
            { id: 'kind', label: t('jobs.kind'), value: (r) => t(`jobs.kind_${r.kind}`), cell: (r) => <button type="button" className="link" onClick={() => setOpen(r.id)}>{t(`jobs.kind_${r.kind}`)}</button> },
            { id: 'target', label: t('jobs.target'), value: (r) => r.target, format: 'name' },
            { id: 'cluster', label: t('common.cluster'), value: (r) => r.cluster, hidden: true },
            { id: 'state', label: t('common.state'), value: (r) => r.state, cell: (r) => <JobState job={r} /> },
            { id: 'progress', label: t('jobs.progress'), value: (r) => BigInt(r.done), cell: (r) => <JobProgress job={r} /> },
            { id: 'failed', label: t('jobs.failed'), value: (r) => BigInt(r.failed), format: 'int' },
            { id: 'user', label: t('jobs.user'), value: (r) => r.user },
            { id: 'created', label: t('jobs.created'), value: (r) => r.created, format: 'ago', num: true },
            ...(operator ? [{ id: 'do', label: '', value: () => '', className: 'num', cell: (r: { id: string; state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled' }) => <Button small onClick={() => remove.mutate(r.id)}>{r.state === 'queued' || r.state === 'running' ? t('common.cancel') : t('jobs.forget')}</Button> }] : []),
          ]}
          empty={<EmptyState icon={ListTodo} title={t('jobs.empty')}>{t('jobs.emptyHint')}</EmptyState>}
        />
      </Panel>
      {open && <JobDialog id={open} onClose={() => setOpen('')} />}
    </Page>
  )
}
