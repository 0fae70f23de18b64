import { useQuery } from '@tanstack/react-query'
import { Pencil, RotateCcw, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { call, send } from '@/api/client'
import { Problem } from '@/api/problem'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { useT } from '@/i18n'
import { useUrlState } from '@/lib/url'
import { ConfigReview, LiveTag } from './ConfigReview'
import { DataTable } from './DataTable'
import { Button, CheckField } from './Form'
import { Panel } from './Layout'
import { ProblemBox } from './Problem'

type ConfigPath = '/clusters/{cluster}/brokers/{broker}/{id}/config' | '/clusters/{cluster}/nameservers/{addr}/config'
const changed = (e: S['ConfigEntry']) => e.default !== undefined && e.default !== e.value

/** The configuration of one server: what it is, what it would be by default, what it means. An administrator changes
 *  several keys, sees the differences, and applies them together; If-Match keeps two administrators apart. */
export function ConfigTable({ id, path, params }: { id: string; path: ConfigPath; params: Record<string, string> }) {
  const t = useT()
  const admin = useMay('admin')
  const [only, setOnly] = useUrlState('changed')
  const [draft, setDraft] = useState<Record<string, string>>({})
  const [review, setReview] = useState(false)
  const q = useQuery<{ config: S['Config']; etag: string }, Problem>({
    queryKey: [path, params, { etag: true }],
    queryFn: async ({ signal }) => {
      const res = await send('GET', path, { params, signal })
      return { config: (await res.json()) as S['Config'], etag: res.headers.get('etag') ?? '' }
    },
    refetchOnWindowFocus: false,
  })
  const items = q.data?.config.items
  const set = (key: string, v: string | undefined) => setDraft((d) => Object.fromEntries([...Object.entries(d).filter(([k]) => k !== key), ...(v === undefined ? [] : [[key, v] as const])]))
  const differs = (items ?? []).filter((e) => e.key in draft && draft[e.key] !== e.value)
  if (q.error && !items) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  return (
    <Panel flush>
      {Object.keys(draft).length > 0 && (
        <div className="sticky top-0 z-10 flex flex-wrap items-center gap-2 border-b bg-accent-soft px-3 py-1.5" role="status">
          <span className="font-medium">{t('config.changes', { count: differs.length })}</span>
          <Button small kind="primary" disabled={differs.length === 0} onClick={() => setReview(true)}>{t('config.review')}</Button>
          <Button small onClick={() => setDraft({})}>{t('config.discard')}</Button>
        </div>
      )}
      <DataTable
        id={id}
        label={t('brokers.tabConfig')}
        rows={items?.filter((e) => only !== '1' || changed(e) || e.key in draft)}
        rowKey={(r) => r.key}
        sort="key"
        tools={<CheckField label={<span className="font-normal">{t('brokers.configChanged')}</span>} checked={only === '1'} onChange={(on) => setOnly(on ? '1' : '')} />}
        columns={[
          { id: 'key', label: t('brokers.configKey'), value: (r) => r.key, cell: (r) => <span className={changed(r) ? 'name font-semibold' : 'name'}>{r.key}</span> },
          { id: 'value', label: t('brokers.configValue'), value: (r) => r.value, cell: (r) => <Value entry={r} draft={draft[r.key]} editable={admin} onChange={(v) => set(r.key, v)} /> },
          { id: 'default', label: t('brokers.configDefault'), value: (r) => r.default, format: 'name', className: 'text-ink-3' },
          { id: 'live', label: t('common.state'), value: (r) => (r.known === false ? 2 : r.live ? 0 : 1), cell: (r) => <LiveTag entry={r} /> },
          { id: 'doc', label: t('brokers.configDoc'), value: (r) => r.doc, cell: (r) => <span className="text-ink-2" title={r.doc}>{r.doc}</span> },
        ]}
      />
      {review && q.data && (
        <ConfigReview
          entries={differs}
          draft={draft}
          run={(dryRun) => call('PATCH', path as '/clusters/{cluster}/nameservers/{addr}/config', { params, query: { dryRun: dryRun || undefined }, ifMatch: q.data.etag, body: { set: Object.fromEntries(differs.map((e) => [e.key, draft[e.key]!])) } })}
          onApplied={(r) => {
            const failed = new Set(r.steps.filter((s) => s.error).map((s) => s.target))
            setDraft((d) => Object.fromEntries(Object.entries(d).filter(([k]) => failed.has(k))))
            void q.refetch()
          }}
          onClose={() => setReview(false)}
        />
      )}
    </Panel>
  )
}

function Value({ entry: e, draft, editable, onChange }: { entry: S['ConfigEntry']; draft: string | undefined; editable: boolean; onChange: (v: string | undefined) => void }) {
  const t = useT()
  if (draft === undefined) {
    return (
      <span className="group/v flex max-w-72 items-center gap-1.5">
        <span className="name truncate" title={e.value}>{e.secret ? '••••••' : e.value}{e.unit && <span className="ml-1.5 text-ink-3">{e.unit}</span>}</span>
        {editable && (
          <button type="button" aria-label={t('config.edit', { key: e.key })} className="rounded p-1 text-ink-3 opacity-60 group-hover/v:opacity-100 hover:text-ink focus-visible:opacity-100" onClick={() => onChange(e.secret ? '' : e.value)}>
            <Pencil aria-hidden className="size-3" />
          </button>
        )}
      </span>
    )
  }
  const label = t('config.valueOf', { key: e.key })
  return (
    <span className="flex items-center gap-1">
      {e.value === 'true' || e.value === 'false' ? (
        <select autoFocus aria-label={label} className="input name h-[26px] w-28" value={draft} onChange={(x) => onChange(x.target.value)}>
          <option>true</option>
          <option>false</option>
        </select>
      ) : (
        <input autoFocus aria-label={label} className="input name h-[26px] w-48" spellCheck={false} value={draft} onChange={(x) => onChange(x.target.value)} onKeyDown={(x) => x.key === 'Escape' && onChange(undefined)} />
      )}
      {e.default !== undefined && e.default !== draft && (
        <button type="button" title={t('config.toDefault')} aria-label={t('config.toDefault')} className="rounded p-1 text-ink-2 hover:text-ink" onClick={() => onChange(e.default)}>
          <RotateCcw aria-hidden className="size-3.5" />
        </button>
      )}
      <button type="button" title={t('config.undo')} aria-label={t('config.undo')} className="rounded p-1 text-ink-2 hover:text-ink" onClick={() => onChange(undefined)}>
        <Undo2 aria-hidden className="size-3.5" />
      </button>
    </span>
  )
}
