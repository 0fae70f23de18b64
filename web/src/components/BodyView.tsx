import { Copy, Download } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import type { S } from '@/api/types'
import { useT } from '@/i18n'
import { decode, fromBase64, hexLines, prettyJSON, SHOWN, toBase64 } from '@/lib/body'
import { cn } from '@/lib/cn'
import { download } from '@/lib/export'
import { useFormats } from '@/lib/format'
import { toast } from './Toasts'

type View = 'json' | 'text' | 'hex' | 'base64'

/** A message body. It was written by strangers: it is only ever drawn as text nodes, and no more than 64 KiB of it. */
export function BodyView({ body, name, fullURL }: { body: S['Body']; name: string; fullURL?: string }) {
  const t = useT()
  const f = useFormats()
  const bytes = useMemo(() => (body.encoding === 'base64' ? fromBase64(body.text) : new TextEncoder().encode(body.text)), [body])
  const guess = useMemo(() => decode(bytes), [bytes])
  const [chosen, setChosen] = useState<View>()
  const views: View[] = guess.kind === 'json' ? ['json', 'text', 'hex', 'base64'] : guess.kind === 'text' ? ['text', 'hex', 'base64'] : ['hex', 'base64']
  const view = chosen && views.includes(chosen) ? chosen : views[0]!
  const shown = Math.min(bytes.length, SHOWN)
  return (
    <div>
      <div className="flex flex-wrap items-center gap-2 pb-2">
        <Segments label={t('body.view')} value={view} onChange={(v) => setChosen(v as View)} items={views.map((v) => ({ value: v, label: v === 'json' ? 'JSON' : v === 'hex' ? t('body.hex') : v === 'base64' ? 'Base64' : t('body.text') }))} />
        <span className="text-xs text-ink-3">
          {f.bytes(body.size)}
          {body.masked && ` · ${t('body.masked')}`}
          {body.compressed && ` · ${t('body.compressed')}`}
          {(body.truncated || shown < bytes.length) && ` · ${t('body.truncated', { shown: f.bytes(shown) })}`}
        </span>
        <span className="ml-auto flex gap-1">
          <button
            type="button"
            className="btn btn-sm btn-quiet"
            onClick={() => void navigator.clipboard?.writeText(body.text).then(() => toast('ok', t('common.copied')))}
          >
            <Copy aria-hidden className="size-3.5" />
            {t('common.copy')}
          </button>
          {fullURL ? (
            <a className="btn btn-sm btn-quiet" href={fullURL} download>
              <Download aria-hidden className="size-3.5" />
              {t('common.download')}
            </a>
          ) : (
            <button type="button" className="btn btn-sm btn-quiet" onClick={() => download(name, bytes as BlobPart)}>
              <Download aria-hidden className="size-3.5" />
              {t('common.download')}
            </button>
          )}
        </span>
      </div>
      {view === 'hex' ? <HexView bytes={bytes} /> : view === 'base64' ? <Code className="break-all">{toBase64(bytes.subarray(0, SHOWN))}</Code> : view === 'json' && guess.kind === 'json' ? <JsonView text={guess.text} /> : <Code>{guess.kind === 'binary' ? '' : new TextDecoder().decode(bytes.subarray(0, SHOWN))}</Code>}
    </div>
  )
}

function Code({ children, className = 'break-words' }: { children: ReactNode; className?: string }) {
  return (
    <pre tabIndex={0} className={cn('name max-h-[60vh] overflow-auto rounded-md border bg-sunken p-3 leading-5 whitespace-pre-wrap', className)}>
      {children}
    </pre>
  )
}

export function HexView({ bytes }: { bytes: Uint8Array }) {
  const text = useMemo(() => hexLines(bytes), [bytes])
  return (
    <pre tabIndex={0} className="name max-h-[60vh] overflow-auto rounded-md border bg-sunken p-3 leading-5">
      {text}
    </pre>
  )
}

/** Indented JSON with coloured keys and values. Above some thousand tokens the colours are left out: each is an element. */
export function JsonView({ text, value }: { text?: string; value?: unknown }) {
  const pretty = useMemo(() => (text === undefined ? JSON.stringify(value, null, 2) : (prettyJSON(text) ?? text)), [text, value])
  const parts = useMemo(() => colour(pretty), [pretty])
  return <Code>{parts}</Code>
}

function colour(s: string): ReactNode {
  const tokens = s.match(/"(?:[^"\\]|\\.)*"(?=:)|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\b(?:true|false|null)\b|[^"\d\-tfn]+|./g)
  if (!tokens || tokens.length > 6000) return s
  return tokens.map((tok, i) => {
    const c = tok[0]
    const key = c === '"' && tokens[i + 1]?.startsWith(':')
    const kind = key ? 'text-accent' : c === '"' ? 'text-ok' : /^-?\d/.test(tok) ? 'text-info' : /^(true|false|null)$/.test(tok) ? 'text-warn' : undefined
    return kind ? <span key={i} className={kind}>{tok}</span> : tok
  })
}

/** A few choices of which one is on, side by side. */
export function Segments({ label, value, onChange, items }: { label: string; value: string; onChange: (v: string) => void; items: { value: string; label: ReactNode }[] }) {
  return (
    <div role="group" aria-label={label} className="inline-flex rounded-md border border-line-strong bg-sunken p-px">
      {items.map((i) => (
        <button key={i.value} type="button" aria-pressed={i.value === value} onClick={() => onChange(i.value)} className={cn('h-[26px] rounded-[4px] px-2.5 text-xs', i.value === value ? 'bg-panel font-medium text-ink shadow-sm' : 'text-ink-2 hover:text-ink')}>
          {i.label}
        </button>
      ))}
    </div>
  )
}
