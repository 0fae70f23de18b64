import { Eraser, Pause, Play, Radio, RotateCw } from 'lucide-react'
import { useCluster } from '@/api/hooks'
import { PartialBanner } from '@/components/Banner'
import { Button } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useProblemText } from '@/components/Problem'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { messageQuery } from '@/lib/search'
import { useSearchState } from '@/lib/url'
import { MessageTable } from './MessageTable'
import { ofPredicate, SearchBar } from './SearchBar'
import { useTail } from './useTail'

/** Messages as they arrive, with the predicates of the search. */
export function LiveTail({ topic, queues }: { topic: string; queues: { broker: string; queue: number }[] | undefined }) {
  const t = useT()
  const f = useFormats()
  const text = useProblemText()
  const cluster = useCluster()
  const { from: _from, to: _to, order: _order, ...query } = messageQuery(useSearchState(), 0, '1h')
  const { state: s, dispatch, link, reconnect } = useTail(cluster, topic, query)
  return (
    <>
      <PartialBanner errors={s.problems} />
      <Panel flush>
        <SearchBar span="1h" queues={queues} error={s.error} follow>
          <span className="ml-auto flex flex-wrap items-center gap-2">
            {s.paused ? (
              <StatusBadge tone="idle">{t('messages.paused')}</StatusBadge>
            ) : (
              <StatusBadge tone={link === 'open' ? 'ok' : link === 'ended' ? 'bad' : 'unknown'}>{t(`messages.link_${link}`)}</StatusBadge>
            )}
            <Button onClick={() => dispatch({ type: s.paused ? 'resume' : 'pause' })}>
              {s.paused ? <Play aria-hidden className="size-3.5" /> : <Pause aria-hidden className="size-3.5" />}
              {s.paused ? (s.waiting.length > 0 ? t('messages.resumeN', { count: s.waiting.length }) : t('messages.resume')) : t('messages.pause')}
            </Button>
            <Button onClick={() => dispatch({ type: 'clear' })}>
              <Eraser aria-hidden className="size-3.5" />
              {t('messages.clear')}
            </Button>
            {link === 'ended' && (
              <Button kind="primary" onClick={reconnect}>
                <RotateCw aria-hidden className="size-3.5" />
                {t('messages.reconnect')}
              </Button>
            )}
          </span>
        </SearchBar>
        {s.error !== undefined && !ofPredicate(s.error) && <div role="alert" className="bg-bad-soft px-3.5 py-2 text-bad">{text(s.error)}</div>}
        {s.dropped > 0 && <div role="status" className="bg-warn-soft px-3.5 py-2 text-warn">{t('messages.dropped', { n: f.int(s.dropped) })}</div>}
        <MessageTable
          id={`tail-${topic}`}
          rows={s.shown}
          empty={<EmptyState icon={Radio} title={t('messages.waiting')}>{t('messages.waitingHint', { n: f.int(s.scanned) })}</EmptyState>}
        />
      </Panel>
    </>
  )
}
