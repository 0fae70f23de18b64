import { Facts } from '@/components/Layout'
import { useT } from '@/i18n'

/** Names and values that strangers wrote: text, long ones wrap. */
export function Properties({ values }: { values: Record<string, string> }) {
  const t = useT()
  const items = Object.entries(values).toSorted(([a], [b]) => a.localeCompare(b))
  if (items.length === 0) return <p className="text-ink-3">{t('messages.noProperties')}</p>
  return <Facts columns={1} items={items.map(([k, v]) => ({ label: <span className="name">{k}</span>, value: <span className="name break-all whitespace-pre-wrap">{v.length > 4096 ? v.slice(0, 4096) + '…' : v}</span> }))} />
}
