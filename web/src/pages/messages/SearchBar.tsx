import { Plus, X } from 'lucide-react'
import { useState } from 'react'
import { Problem } from '@/api/problem'
import { Button, Field, Pick } from '@/components/Form'
import { useMaybeT, useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { useFormats } from '@/lib/format'
import { localInput, parseLocal } from '@/lib/localtime'
import { usePrefs, zoneOf } from '@/lib/prefs'
import { PREDICATES, SPANS, type Predicate, type Span } from '@/lib/search'
import { useSearchState, useSetSearch } from '@/lib/url'

/** What is searched for, kept in the URL: time range, queue, order, and predicates that the server evaluates. */
export function SearchBar({ span, queues, error, follow, children }: {
  /** The range without a choice. */
  span: Span
  queues?: { broker: string; queue: number }[]
  /** Of the search: complaints are shown beside their predicate. */
  error?: unknown
  /** A tail has no range and no order. */
  follow?: boolean
  children?: React.ReactNode
}) {
  const t = useT()
  const s = useSearchState()
  const set = useSetSearch()
  const fixed = !!s.from && !!s.to
  return (
    <div className="flex flex-col gap-2 border-b px-3 py-2">
      <div className="flex flex-wrap items-center gap-2">
        {!follow && (
          <>
            <Pick
              label={t('messages.range')}
              value={fixed ? 'custom' : s.range && s.range in SPANS ? s.range : span}
              onChange={(v) => (v === 'custom' ? set({ from: String(Date.now() - SPANS[span]), to: String(Date.now()) }) : set({ range: v === span ? undefined : v, from: undefined, to: undefined }))}
              options={[...(Object.keys(SPANS) as Span[]).map((value) => ({ value, label: t(`messages.range_${value}`) })), { value: 'custom', label: t('messages.rangeCustom') }]}
            />
            <Pick label={t('messages.order')} value={s.order === 'oldest' ? 'oldest' : 'newest'} onChange={(v) => set({ order: v === 'oldest' ? v : undefined })} options={[{ value: 'newest', label: t('messages.newest') }, { value: 'oldest', label: t('messages.oldest') }]} />
          </>
        )}
        {queues && queues.length > 0 && (
          <Pick label={t('common.queue')} value={s.queue ?? ''} onChange={(v) => set({ queue: v || undefined })} options={[{ value: '', label: t('messages.allQueues') }, ...queues.map((q) => ({ value: `${q.broker}:${q.queue}`, label: `${q.broker} / ${q.queue}` }))]} />
        )}
        <AddPredicate />
        {children}
      </div>
      {fixed && !follow && <Between key={`${s.from}-${s.to}`} from={Number(s.from)} to={Number(s.to)} />}
      <Predicates error={error} />
    </div>
  )
}

function Between({ from, to }: { from: number; to: number }) {
  const t = useT()
  const f = useFormats()
  const zone = zoneOf(usePrefs())
  const set = useSetSearch()
  const [a, setA] = useState(() => localInput(from, zone))
  const [b, setB] = useState(() => localInput(to, zone))
  const x = parseLocal(a, zone)
  const y = parseLocal(b, zone)
  const wrong = Number.isFinite(x) && Number.isFinite(y) ? (x >= y ? t('messages.endsBefore') : undefined) : t('messages.noTime')
  return (
    <form
      className="flex flex-wrap items-end gap-2"
      onSubmit={(e) => {
        e.preventDefault()
        if (!wrong) set({ from: String(x), to: String(y) }, { push: true })
      }}
    >
      <Field label={t('messages.from', { zone: f.zoneName })}>{(p) => <input {...p} type="datetime-local" step={1} className="input" value={a} onChange={(e) => setA(e.target.value)} />}</Field>
      <Field label={t('messages.to')} error={wrong}>{(p) => <input {...p} type="datetime-local" step={1} className="input" value={b} onChange={(e) => setB(e.target.value)} />}</Field>
      <Button type="submit">{t('common.apply')}</Button>
    </form>
  )
}

/** One kind of predicate and its value; Enter adds it. */
function AddPredicate() {
  const t = useT()
  const s = useSearchState()
  const set = useSetSearch()
  const [kind, setKind] = useState<Predicate>('contains')
  const [value, setValue] = useState('')
  return (
    <form
      className="flex min-w-0 items-center gap-1 max-sm:w-full"
      onSubmit={(e) => {
        e.preventDefault()
        const v = value.trim()
        if (!v) return
        set({ [kind]: kind === 'property' && s.property ? `${s.property}\n${v}` : v }, { push: true })
        setValue('')
      }}
    >
      <Pick label={t('messages.filterBy')} value={kind} onChange={(v) => setKind(v as Predicate)} options={PREDICATES.map((p) => ({ value: p, label: t(`messages.by_${p}`) }))} />
      <input data-filter className="input name w-56 min-w-0 max-sm:w-auto max-sm:flex-1" aria-label={t('messages.filterValue')} placeholder={t(`messages.ph_${kind}`)} value={value} onChange={(e) => setValue(e.target.value)} spellCheck={false} />
      <button type="submit" className="btn btn-icon shrink-0" aria-label={t('messages.add')} title={t('messages.add')}>
        <Plus aria-hidden className="size-4" />
      </button>
    </form>
  )
}

/** Whether a problem is about a predicate, so that it is said there. */
export function ofPredicate(error: unknown): boolean {
  return error instanceof Problem && (error.body.fields ?? []).some((w) => (PREDICATES as readonly string[]).includes(w.name))
}

function Predicates({ error }: { error: unknown }) {
  const t = useT()
  const maybe = useMaybeT()
  const s = useSearchState()
  const set = useSetSearch()
  const wrong = error instanceof Problem ? (error.body.fields ?? []) : []
  const chips = PREDICATES.flatMap((p) => (s[p] ? (p === 'property' ? s[p].split('\n') : [s[p]]).map((value) => ({ p, value })) : []))
  if (chips.length === 0) return null
  return (
    <ul className="m-0 flex list-none flex-wrap gap-2 p-0" aria-label={t('messages.filters')}>
      {chips.map(({ p, value }) => {
        const bad = wrong.find((w) => w.name === p)
        return (
          <li key={p + value} className="max-w-full">
            <span className={cn('inline-flex max-w-full items-center gap-1.5 rounded border px-2 py-0.5', bad ? 'border-bad bg-bad-soft' : 'bg-accent-soft')}>
              <span className="shrink-0 text-xs text-ink-2">{t(`messages.by_${p}`)}</span>
              <span className="name truncate">{value}</span>
              <button
                type="button"
                aria-label={t('messages.remove', { what: `${t(`messages.by_${p}`)} ${value}` })}
                className="rounded p-0.5 text-ink-2 hover:text-ink"
                onClick={() => set({ [p]: p === 'property' ? s.property!.split('\n').filter((x) => x !== value).join('\n') || undefined : undefined }, { push: true })}
              >
                <X aria-hidden className="size-3" />
              </button>
            </span>
            {bad && <div role="alert" className="mt-0.5 text-xs text-bad">{maybe(`errors.${bad.code}`) ?? bad.code} <span className="name break-words">{bad.detail}</span></div>}
          </li>
        )
      })}
    </ul>
  )
}
