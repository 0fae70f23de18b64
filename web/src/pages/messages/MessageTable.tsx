import { Link } from '@tanstack/react-router'
import { useMemo, useState, type ReactNode } from 'react'
import { apiURL } from '@/api/client'
import { useCluster } from '@/api/hooks'
import type { S } from '@/api/types'
import { BodyView } from '@/components/BodyView'
import { DataTable, type Column } from '@/components/DataTable'
import { Dialog } from '@/components/Dialog'
import { useT, type T } from '@/i18n'
import { toBig, useFormats } from '@/lib/format'
import { preview } from '@/lib/search'
import { Properties } from './Properties'

type Message = S['Message']

/** Addresses one stored message; ids of clients are not unique. */
export const messageKey = (m: Message) => `${m.broker}/${m.queue}/${m.offset}`

/** Messages in a table; a click on the body opens it beside its properties. */
export function MessageTable({ id, rows, error, onRetry, empty, selection, sort = '-store', showTopic, urlKey = 't' }: {
  id: string
  rows: readonly Message[] | undefined
  error?: unknown
  onRetry?: () => void
  empty?: ReactNode
  selection?: { selected: ReadonlySet<string>; onChange: (s: Set<string>) => void }
  sort?: string
  showTopic?: boolean
  urlKey?: string
}) {
  const t = useT()
  const cluster = useCluster()
  const [open, setOpen] = useState<Message | null>(null)
  const columns = useMemo(() => messageColumns(t, cluster, setOpen, showTopic), [t, cluster, showTopic])
  return (
    <>
      <DataTable id={id} label={t('messages.title')} columns={columns} rows={rows} rowKey={messageKey} error={error} onRetry={onRetry} empty={empty} selection={selection} sort={sort} urlKey={urlKey} />
      {open && <Peek message={open} onClose={() => setOpen(null)} />}
    </>
  )
}

function messageColumns(t: T, c: string, open: (m: Message) => void, showTopic?: boolean): Column<Message>[] {
  return [
    { id: 'store', label: t('messages.storeTime'), value: (m) => m.storeTime, cell: (m, f) => <Link to="/c/$c/messages/$m" params={{ c, m: m.offsetId } as never} search={{ topic: m.topic } as never} className="link" title={m.id}>{f.time(m.storeTime)}</Link> },
    ...(showTopic ? [{ id: 'topic', label: t('common.topic'), value: (m: Message) => m.topic, format: 'name' as const }] : []),
    {
      id: 'body',
      label: t('messages.body'),
      value: (m) => textOf(m, t),
      cell: (m) => (
        <button type="button" className="block w-full max-w-[300px] truncate text-left hover:text-accent" title={t('messages.look')} onClick={() => open(m)}>
          {m.body?.encoding === 'utf8' && m.body.text ? <span className="name">{preview(m.body.text)}</span> : <span className="text-ink-3">{textOf(m, t)}</span>}
        </button>
      ),
    },
    { id: 'tags', label: t('messages.tags'), value: (m) => m.tags, format: 'name' },
    { id: 'keys', label: t('messages.keys'), value: (m) => m.keys?.join(' '), format: 'name' },
    { id: 'queue', label: t('common.queue'), value: (m) => `${m.broker} ${m.queue}`, cell: (m) => <span className="name">{m.broker} <span className="text-ink-3">/ {m.queue}</span></span> },
    { id: 'offset', label: t('messages.offset'), value: (m) => toBig(m.offset), format: 'int' },
    { id: 'size', label: t('messages.size'), value: (m) => m.size, format: 'bytes' },
    { id: 'retries', label: t('messages.retries'), value: (m) => m.reconsumeTimes, format: 'int', hidden: true },
    { id: 'id', label: t('messages.id'), value: (m) => m.id, format: 'name', hidden: true },
    { id: 'born', label: t('messages.bornTime'), value: (m) => m.bornTime, format: 'time', hidden: true },
    { id: 'bornHost', label: t('messages.bornHost'), value: (m) => m.bornHost, format: 'name', hidden: true },
  ]
}

function textOf(m: Message, t: T): string {
  if (m.bodyHidden || !m.body) return t('messages.hidden')
  if (m.body.size === 0) return t('messages.noBody')
  return m.body.encoding === 'utf8' ? preview(m.body.text) : t('messages.binary')
}

function Peek({ message: m, onClose }: { message: Message; onClose: () => void }) {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  return (
    <Dialog
      title={<span className="name text-sm break-all">{m.id}</span>}
      onClose={onClose}
      width="max-w-4xl"
      footer={<Link className="btn btn-primary" to="/c/$c/messages/$m" params={{ c: cluster, m: m.offsetId } as never} search={{ topic: m.topic } as never}>{t('messages.open')}</Link>}
    >
      <p className="mb-3 text-ink-2">
        {f.time(m.storeTime)} · <span className="name">{m.broker} / {m.queue} @ {f.int(m.offset)}</span>
      </p>
      {m.body ? <BodyView body={m.body} name={`${m.id}.bin`} fullURL={bodyURL(cluster, m)} /> : <p className="text-ink-3">{t('messages.hidden')}</p>}
      <div className="eyebrow mt-4 mb-1">{t('messages.properties')}</div>
      <Properties values={m.properties} />
    </Dialog>
  )
}

export function bodyURL(cluster: string, m: Message): string {
  return apiURL('/clusters/{cluster}/messages/{message}/body', { cluster, message: m.offsetId }, { topic: m.topic })
}
