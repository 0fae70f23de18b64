import { Button } from '@/components/Form'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import type { useMessageSearch } from './useMessageSearch'

/** How far the search has come, and the button that lets it go on. */
export function SearchFoot({ search: s }: { search: ReturnType<typeof useMessageSearch> }) {
  const t = useT()
  const f = useFormats()
  if (!s.last) return null
  return (
    <div className="flex flex-wrap items-center gap-3 border-t px-3.5 py-2 text-xs text-ink-2" role="status">
      <span>{t('messages.window', { from: f.time(s.last.from), to: f.time(s.last.to), zone: f.zoneName })}</span>
      <span>{t('messages.scanned', { n: f.int(s.scanned) })}</span>
      {s.more && (
        <>
          <span>{s.last.items.length > 0 ? t('messages.pageFull') : t('messages.budget', { to: f.time(s.last.scannedTo) })}</span>
          <Button small busy={s.busy} onClick={s.goOn}>{t('messages.goOn')}</Button>
        </>
      )}
    </div>
  )
}
