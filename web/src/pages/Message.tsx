import { Link, useParams } from '@tanstack/react-router'
import { Send, Zap } from 'lucide-react'
import { useState } from 'react'
import { useApi, useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { BodyView } from '@/components/BodyView'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Facts, Page, Panel, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { StatusBadge, Tag, type Tone } from '@/components/Status'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { useSearchState } from '@/lib/url'
import { ConsumeDialog, ResendDialog } from './messages/MessageActions'
import { bodyURL } from './messages/MessageTable'
import { Properties } from './messages/Properties'
import { TraceView } from './messages/TraceView'

const TRACKS: Record<S['Track']['state'], Tone> = { consumed: 'ok', filtered: 'idle', notYet: 'info', notOnline: 'warn', pull: 'unknown', broadcast: 'unknown', unknown: 'unknown' }

export default function Message() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const operator = useMay('operator')
  const { m: id = '' } = useParams({ strict: false }) as { m?: string }
  const { topic } = useSearchState()
  const [doing, setDoing] = useState<'resend' | 'consume' | null>(null)
  const params = { cluster, message: id }
  const q = useApi('/clusters/{cluster}/messages/{message}', { params, query: { topic } })
  const tracks = useApi('/clusters/{cluster}/messages/{message}/tracks', { params, query: { topic }, enabled: !!q.data })
  const m = q.data
  return (
    <Page
      title={m?.id ?? id}
      eyebrow={
        <>
          <Link to="/c/$c/messages" params={{ c: cluster } as never} className="hover:text-ink">{t('messages.lookup')}</Link>
          {m && <> / <Link to="/c/$c/topics/$t/messages" params={{ c: cluster, t: m.topic } as never} className="name hover:text-ink">{m.topic}</Link></>}
        </>
      }
      badges={m && <>{m.tags && <Tag tone="accent">{m.tags}</Tag>}{m.keys?.map((k) => <Tag key={k}>{k}</Tag>)}</>}
      actions={
        m && operator && (
          <>
            <Button onClick={() => setDoing('consume')}>
              <Zap aria-hidden className="size-3.5" />
              {t('messages.consume')}
            </Button>
            <Button kind="primary" onClick={() => setDoing('resend')}>
              <Send aria-hidden className="size-3.5" />
              {t('messages.resend')}
            </Button>
          </>
        )
      }
    >
      {q.error && !m ? (
        <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
      ) : !m ? (
        <Skeleton lines={8} />
      ) : (
        <>
          <Panel title={t('messages.body')}>
            {m.body ? m.body.size === 0 ? <p className="text-ink-3">{t('messages.noBody')}</p> : <BodyView body={m.body} name={`${m.id}.bin`} fullURL={bodyURL(cluster, m)} /> : <p className="text-ink-3">{t('messages.hidden')}</p>}
          </Panel>
          <div className="grid items-start gap-4 lg:grid-cols-2">
            <Panel title={t('messages.position')}>
              <Facts
                columns={1}
                items={[
                  { label: t('common.topic'), value: <Link className="link name" to="/c/$c/topics/$t" params={{ c: cluster, t: m.topic } as never}>{m.topic}</Link> },
                  { label: t('common.queue'), value: <span className="name">{m.broker} / {m.queue}</span> },
                  { label: t('messages.offset'), value: f.int(m.offset) },
                  { label: t('messages.logOffset'), value: f.int(m.commitLogOffset) },
                  { label: t('messages.size'), value: f.bytes(m.size) },
                  { label: t('messages.storeTime'), value: f.time(m.storeTime) },
                  { label: t('messages.bornTime'), value: f.time(m.bornTime) },
                  { label: t('messages.bornHost'), value: <span className="name">{m.bornHost}</span> },
                  { label: t('messages.storeHost'), value: <span className="name">{m.storeHost}</span> },
                  { label: t('messages.retries'), value: f.int(m.reconsumeTimes) },
                  { label: t('messages.flags'), value: <span className="name">{m.flag} / {m.sysFlag}</span> },
                  { label: t('messages.offsetId'), value: <span className="name break-all">{m.offsetId}</span> },
                ]}
              />
            </Panel>
            <Panel title={t('messages.properties')}>
              <Properties values={m.properties} />
            </Panel>
          </div>
          <Panel title={t('messages.tracks')} flush>
            <PartialBanner errors={tracks.data?.errors} />
            <DataTable
              plain
              id="tracks"
              label={t('messages.tracks')}
              rows={tracks.data?.items}
              rowKey={(r) => r.group}
              error={tracks.error}
              onRetry={() => void tracks.refetch()}
              sort="group"
              columns={[
                { id: 'group', label: t('common.group'), value: (r) => r.group, cell: (r) => <Link className="link name" to="/c/$c/groups/$g" params={{ c: cluster, g: r.group } as never}>{r.group}</Link> },
                { id: 'state', label: t('common.state'), value: (r) => r.state, cell: (r) => <StatusBadge tone={TRACKS[r.state]} title={r.error?.detail}>{t(`messages.track_${r.state}`)}</StatusBadge> },
                { id: 'detail', label: t('messages.detail'), optional: true, value: (r) => r.error?.detail, cell: (r) => <span className="text-ink-2">{r.error?.detail}</span> },
              ]}
              empty={<EmptyState title={t('messages.noTracks')}>{t('messages.noTracksHint')}</EmptyState>}
            />
          </Panel>
          <Panel title={t('trace.title')}>
            <TraceView cluster={cluster} message={m.id} topic={m.topic} />
          </Panel>
          {doing === 'resend' && <ResendDialog message={m} onClose={() => setDoing(null)} />}
          {doing === 'consume' && <ConsumeDialog message={m} groups={tracks.data?.items.map((x) => x.group) ?? []} onClose={() => setDoing(null)} />}
        </>
      )}
    </Page>
  )
}
