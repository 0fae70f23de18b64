import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp, Columns3, Download, ListFilter, X } from 'lucide-react'
import { useCallback, useDeferredValue, useMemo, useRef, type ReactNode } from 'react'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { download, toCSV, toJSONLines } from '@/lib/export'
import { useFormats, UNKNOWN, type Formats, type Int } from '@/lib/format'
import { usePrefs } from '@/lib/prefs'
import { arrange, formatSort, nextSort, parseSort, type CellValue, type ColumnData, type Sort } from '@/lib/table'
import { useSearchState, useSetSearch } from '@/lib/url'
import { EmptyState } from './Layout'
import { CheckItem, Menu, MenuItem } from './Menu'
import { ProblemBox } from './Problem'

export interface Column<T> extends ColumnData<T> {
  /** Empty: a column of buttons, which neither sorts nor is exported. */
  label: string
  /** What is drawn; else value in the given format. */
  cell?: (row: T, f: Formats) => ReactNode
  /** name: a monospaced identifier; ago: a point in time as distance. */
  format?: 'int' | 'compact' | 'rate' | 'bytes' | 'percent' | 'time' | 'ago' | 'span' | 'name'
  /** Right-aligned; sorts downwards first. Implied by the number formats. */
  num?: boolean
  /** Hidden until the user asks for it. */
  hidden?: boolean
  /** Hidden while no row has a value: what only some clusters can tell. */
  optional?: boolean
  /** Explains the header. */
  title?: string
  className?: string
}

export interface DataTableProps<T> {
  /** Names exported files; unique per table. */
  id: string
  columns: Column<T>[]
  /** undefined while loading. */
  rows: readonly T[] | undefined
  rowKey: (row: T) => string
  /** What the rows are, for screen readers. */
  label: string
  error?: unknown
  onRetry?: () => void
  /** Drawn when there are no rows at all; when the filter hides all, the table says so itself. */
  empty?: ReactNode
  /** More filters, left of the tools. */
  tools?: ReactNode
  /** Initial order, as in the URL. */
  sort?: string
  /** Prefix of the URL keys q, sort and cols, for pages with several tables. */
  urlKey?: string
  /** Without filter, columns and export: for short tables inside of pages. */
  plain?: boolean
  selection?: { selected: ReadonlySet<string>; onChange: (s: Set<string>) => void }
  /** Fewer rows than the server has. */
  total?: number
  rowClass?: (row: T) => string | undefined
}

const VIRTUAL_OVER = 200
const NUMERIC = new Set(['int', 'compact', 'rate', 'bytes', 'percent', 'span'])
const isNum = <T,>(c: Column<T>) => c.num ?? (c.format !== undefined && NUMERIC.has(c.format))

function draw<T>(c: Column<T>, row: T, f: Formats): ReactNode {
  if (c.cell) return c.cell(row, f)
  const v = c.value(row)
  if (v === null || v === undefined || v === '') return <span className="text-ink-3">{UNKNOWN}</span>
  switch (c.format) {
    case undefined:
      return String(v)
    case 'name':
      return <span className="name">{String(v)}</span>
    case 'rate':
    case 'percent':
      return f[c.format](Number(v))
    case 'ago':
      return <time title={f.time(v as Int)}>{f.ago(v as Int)}</time>
    default:
      return f[c.format](v as Int)
  }
}

export function DataTable<T>(p: DataTableProps<T>) {
  const t = useT()
  const f = useFormats()
  const { density } = usePrefs()
  const key = p.urlKey ?? ''
  const search = useSearchState()
  const setSearch = useSetSearch()
  const q = p.plain ? '' : (search[key + 'q'] ?? '')
  const sortText = search[key + 'sort'] ?? p.sort ?? ''
  const chosen = search[key + 'cols']

  const visible = useMemo(() => {
    const ids = chosen?.split(',')
    const some = (c: Column<T>) => !p.rows || p.rows.some((r) => c.value(r) !== undefined)
    return p.columns.filter((c) => (ids ? ids.includes(c.id) : !c.hidden && (!c.optional || some(c))))
  }, [p.columns, p.rows, chosen])
  const sort = parseSort(sortText)
  const deferred = useDeferredValue(q)
  const rows = useMemo(() => (p.rows ? arrange(p.rows, p.columns.map((c) => ({ ...c, num: isNum(c) })), deferred, parseSort(sortText)) : undefined), [p.rows, p.columns, deferred, sortText])

  const setSort = (c: Column<T>) => {
    const next = formatSort(nextSort(sort, c.id, isNum(c)))
    setSearch({ [key + 'sort']: next === (p.sort ?? '') ? undefined : next || '-' })
  }
  const setColumn = (id: string, on: boolean) => {
    const ids = p.columns.filter((c) => (c.id === id ? on : visible.includes(c))).map((c) => c.id)
    const usual = p.columns.filter((c) => !c.hidden).map((c) => c.id)
    setSearch({ [key + 'cols']: ids.join() === usual.join() || ids.length === 0 ? undefined : ids.join(',') })
  }

  const scroller = useRef<HTMLDivElement>(null)
  const virtual = (rows?.length ?? 0) > VIRTUAL_OVER
  const height = density === 'dense' ? 30 : 38
  const v = useVirtualizer({
    count: virtual ? rows!.length : 0,
    getScrollElement: () => scroller.current,
    estimateSize: useCallback(() => height, [height]),
    overscan: 12,
  })
  const window_ = v.getVirtualItems()
  const shown = virtual ? window_.map((i) => ({ row: rows![i.index]!, index: i.index })) : (rows ?? []).map((row, index) => ({ row, index }))
  const before = virtual ? (window_[0]?.start ?? 0) : 0
  const after = virtual ? v.getTotalSize() - (window_.at(-1)?.end ?? 0) : 0
  const span = visible.length + (p.selection ? 1 : 0)

  if (p.error && !p.rows) return <ProblemBox error={p.error} onRetry={p.onRetry} />

  return (
    <div className="min-w-0">
      {!p.plain && (
        <div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
          <Filter value={q} onChange={(s) => setSearch({ [key + 'q']: s || undefined })} label={t('common.filterOf', { what: p.label })} />
          {p.tools}
          <span className="ml-auto text-xs text-ink-3" role="status">
            {rows && p.rows && (rows.length === p.rows.length ? t('common.rows', { count: rows.length, n: f.int(rows.length) }) : t('common.rowsOf', { n: f.int(rows.length), all: f.int(p.rows.length) }))}
            {p.total !== undefined && p.rows && p.total > p.rows.length && ` · ${t('common.cutAt', { all: f.int(p.total) })}`}
          </span>
          <Menu label={t('common.columns')} trigger={<Columns3 aria-hidden className="size-4" />}>
            {p.columns.filter((c) => c.label).map((c) => (
              <CheckItem key={c.id} checked={visible.includes(c)} onChange={(on) => setColumn(c.id, on)}>
                {c.label}
              </CheckItem>
            ))}
          </Menu>
          <ExportMenu id={p.id} columns={visible.filter((c) => c.label)} rows={rows ?? []} />
        </div>
      )}
      <div ref={scroller} className={cn('overflow-auto', virtual && 'max-h-[calc(100dvh-210px)] min-h-80')} tabIndex={virtual ? 0 : undefined} role={virtual ? 'group' : undefined} aria-label={virtual ? p.label : undefined}>
        <table className="grid-table" aria-label={p.label} aria-rowcount={rows ? rows.length + 1 : undefined} aria-busy={!rows}>
          <thead>
            <tr>
              {p.selection && rows && (
                <th className="w-8">
                  <SelectAll selection={p.selection} keys={rows.map(p.rowKey)} />
                </th>
              )}
              {visible.map((c) => (
                <Header key={c.id} column={c} sort={sort} onSort={() => setSort(c)} />
              ))}
            </tr>
          </thead>
          <tbody>
            {!rows && Array.from({ length: 8 }, (_, i) => (
              <tr key={i} aria-hidden>
                {visible.map((c, j) => (
                  <td key={c.id}>
                    <div className="skeleton h-3" style={{ width: `${j === 0 ? 60 : 30 + ((i * 7 + j * 13) % 30)}%` }} />
                  </td>
                ))}
              </tr>
            ))}
            {before > 0 && <tr aria-hidden><td colSpan={span} style={{ height: before, padding: 0, border: 0 }} /></tr>}
            {shown.map(({ row, index }) => {
              const k = p.rowKey(row)
              return (
                <tr key={k} aria-rowindex={index + 2} className={p.rowClass?.(row)}>
                  {p.selection && (
                    <td>
                      <SelectOne selection={p.selection} k={k} />
                    </td>
                  )}
                  {visible.map((c) => (
                    <td key={c.id} className={cn(isNum(c) && 'num', c.className)}>
                      {draw(c, row, f)}
                    </td>
                  ))}
                </tr>
              )
            })}
            {after > 0 && <tr aria-hidden><td colSpan={span} style={{ height: after, padding: 0, border: 0 }} /></tr>}
          </tbody>
        </table>
      </div>
      {p.rows && p.rows.length === 0 && (p.empty ?? <EmptyState title={t('common.nothing')} />)}
      {p.rows && p.rows.length > 0 && rows!.length === 0 && (
        <EmptyState
          icon={ListFilter}
          title={t('common.noMatch')}
          action={
            <button type="button" className="btn btn-sm" onClick={() => setSearch({ [key + 'q']: undefined })}>
              {t('common.clearFilter')}
            </button>
          }
        />
      )}
    </div>
  )
}

/** A filter box; '/' puts the cursor into the first one of a page. */
export function Filter({ value, onChange, label }: { value: string; onChange: (s: string) => void; label: string }) {
  const t = useT()
  return (
    <div className="relative w-64 max-sm:w-full">
      <ListFilter aria-hidden className="pointer-events-none absolute top-2 left-2.5 size-3.5 text-ink-3" />
      <input
        data-filter
        type="search"
        value={value}
        onChange={(e) => onChange(e.target.value)}
        onKeyDown={(e) => e.key === 'Escape' && (value ? onChange('') : e.currentTarget.blur())}
        placeholder={t('common.filter')}
        aria-label={label}
        className="input pr-7 pl-8 [&::-webkit-search-cancel-button]:hidden"
      />
      {value ? (
        <button type="button" aria-label={t('common.clearFilter')} className="absolute top-1.5 right-1.5 rounded p-1 text-ink-3 hover:text-ink" onClick={() => onChange('')}>
          <X aria-hidden className="size-3" />
        </button>
      ) : (
        <kbd aria-hidden className="pointer-events-none absolute top-[7px] right-2 rounded border px-1 font-mono text-2xs leading-[14px] text-ink-3">/</kbd>
      )}
    </div>
  )
}

function Header<T>({ column: c, sort, onSort }: { column: Column<T>; sort: Sort | null; onSort: () => void }) {
  const on = sort?.id === c.id
  const Icon = on && sort.desc ? ArrowDown : ArrowUp
  const num = isNum(c)
  const t = useT()
  if (!c.label) return <th><span className="sr-only">{t('common.actions')}</span></th>
  return (
    <th className={cn(num && 'num')} aria-sort={on ? (sort.desc ? 'descending' : 'ascending') : undefined} title={c.title}>
      <button type="button" onClick={onSort} className={cn('group inline-flex items-center gap-1 hover:text-ink', num && 'flex-row-reverse', on && 'text-ink')}>
        {c.label}
        <Icon aria-hidden className={cn('size-3', on ? 'text-accent' : 'opacity-0 group-hover:opacity-50')} />
      </button>
    </th>
  )
}

type Selection = NonNullable<DataTableProps<unknown>['selection']>

function SelectAll({ selection, keys }: { selection: Selection; keys: string[] }) {
  const t = useT()
  const n = keys.filter((k) => selection.selected.has(k)).length
  return (
    <input
      type="checkbox"
      aria-label={t('common.selectAll')}
      className="block accent-(--accent)"
      checked={n > 0 && n === keys.length}
      ref={(el) => {
        if (el) el.indeterminate = n > 0 && n < keys.length
      }}
      onChange={(e) => selection.onChange(new Set(e.target.checked ? keys : []))}
    />
  )
}

function SelectOne({ selection, k }: { selection: Selection; k: string }) {
  const t = useT()
  return (
    <input
      type="checkbox"
      aria-label={t('common.selectRow', { name: k })}
      className="block accent-(--accent)"
      checked={selection.selected.has(k)}
      onChange={(e) => {
        const next = new Set(selection.selected)
        if (e.target.checked) next.add(k)
        else next.delete(k)
        selection.onChange(next)
      }}
    />
  )
}

function ExportMenu<T>({ id, columns, rows }: { id: string; columns: Column<T>[]; rows: T[] }) {
  const t = useT()
  const name = (ext: string) => `cometmq-${id}-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.${ext}`
  const values = () => rows.map((r) => columns.map((c) => c.value(r)))
  const objects = () => rows.map((r) => Object.fromEntries(columns.map((c) => [c.id, c.value(r) as CellValue])))
  return (
    <Menu label={t('common.export')} trigger={<Download aria-hidden className="size-4" />}>
      <MenuItem onSelect={() => download(name('csv'), toCSV(columns.map((c) => c.label), values()), 'text/csv')}>CSV</MenuItem>
      <MenuItem onSelect={() => download(name('jsonl'), toJSONLines(objects()), 'application/jsonl')}>JSON lines</MenuItem>
    </Menu>
  )
}
