import { Download, ScrollText } from 'lucide-react'
import { useState } from 'react'
import { apiURL } from '@/api/client'
import { useList } from '@/api/hooks'
import type { S } from '@/api/types'
import { DataTable } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { Pick } from '@/components/Form'
import { EmptyState, Facts, Page, Panel } from '@/components/Layout'
import { StatusBadge, type Tone } from '@/components/Status'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { useRecent } from '@/lib/recent'
import { useUrlState } from '@/lib/url'

const DAY = 86_400_000
const DAYS = { '1': 1, '7': 7, '30': 30, '180': 180 } as const
const TONES: Record<S['AuditEntry']['result'], Tone> = { ok: 'ok', refused: 'warn', failed: 'bad', partial: 'warn' }

export default function Audit() {
  const t = useT()
  const [days, setDays] = useUrlState('days', '7')
  const [open, setOpen] = useState<S['AuditEntry'] | null>(null)
  const { from } = useRecent((DAYS[days as keyof typeof DAYS] ?? 7) * DAY)
  const q = useList('/audit', { query: { from }, keep: true })
  return (
    <Page
      title={t('audit.title')}
      actions={
        <a className="btn" href={apiURL('/audit/export', {}, { from })} download>
          <Download aria-hidden className="size-3.5" />
          {t('audit.export')}
        </a>
      }
    >
      <Panel flush>
        <DataTable
          id="audit"
          label={t('audit.title')}
          rows={q.data?.items}
          total={q.data?.total}
          rowKey={(r) => r.id}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="-time"
          tools={<Pick label={t('audit.days')} value={days} onChange={setDays} options={(['1', '7', '30', '180'] as const).map((value) => ({ value, label: t('audit.last', { count: Number(value) }) }))} />}
          columns={[
            { id: 'time', label: t('common.time'), value: (r) => r.time, cell: (r, f) => <button type="button" className="link" onClick={() => setOpen(r)}>{f.time(r.time)}</button> },
            { id: 'user', label: t('audit.user'), value: (r) => r.user },
            { id: 'action', label: t('audit.action'), value: (r) => r.action, format: 'name' },
            { id: 'target', label: t('audit.target'), value: (r) => r.target, format: 'name' },
            { id: 'cluster', label: t('common.cluster'), value: (r) => r.cluster },
            { id: 'result', label: t('audit.result'), value: (r) => r.result, cell: (r) => <StatusBadge tone={TONES[r.result]}>{t(`audit.result_${r.result}`)}</StatusBadge> },
            { id: 'address', label: t('common.address'), value: (r) => r.address, format: 'name' },
          ]}
          empty={<EmptyState icon={ScrollText} title={t('audit.empty')}>{t('audit.emptyHint')}</EmptyState>}
        />
      </Panel>
      {open && <Entry entry={open} onClose={() => setOpen(null)} />}
    </Page>
  )
}

function Entry({ entry: e, onClose }: { entry: S['AuditEntry']; onClose: () => void }) {
  const t = useT()
  const f = useFormats()
  return (
    <Dialog title={<span className="name text-sm">{e.action} {e.target}</span>} onClose={onClose} width="max-w-2xl">
      <Facts
        columns={1}
        items={[
          { label: t('common.time'), value: f.time(e.time) },
          { label: t('audit.user'), value: `${e.user} (${e.address})` },
          { label: t('audit.result'), value: <><StatusBadge tone={TONES[e.result]}>{t(`audit.result_${e.result}`)}</StatusBadge>{e.code && <span className="name ml-2">{e.code}</span>}</> },
          { label: t('audit.request'), value: <span className="name">{e.requestId}</span> },
        ]}
      />
      {(e.before || e.after) && (
        <div className="mt-3 overflow-hidden rounded-md border">
          <div className="name bg-bad-soft px-3 py-1.5 break-words whitespace-pre-wrap"><span aria-hidden>− </span><span className="sr-only">{t('config.before')} </span>{e.before || '–'}</div>
          <div className="name bg-ok-soft px-3 py-1.5 break-words whitespace-pre-wrap"><span aria-hidden>+ </span><span className="sr-only">{t('config.after')} </span>{e.after || '–'}</div>
        </div>
      )}
    </Dialog>
  )
}
