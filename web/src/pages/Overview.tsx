import { Link } from '@tanstack/react-router'
import { alertValue, type Kind } from './alerts/value'
import type { ReactNode } from 'react'
import { useApi, useCluster } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { MetricChart } from '@/components/Chart'
import { Page, Panel, Skeleton, Stat, Stats } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { Sparkline } from '@/components/Sparkline'
import { StatusBadge, type Tone } from '@/components/Status'
import { useMaybeT, useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { toNum, useFormats, type Int } from '@/lib/format'
import { useRecent } from '@/lib/recent'

const TONE: Record<S['Health']['verdict'], Tone> = { ok: 'ok', warn: 'warn', fault: 'bad' }

/** How the cluster is doing, on one screen. */
export default function Overview() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const c = useApi('/clusters/{cluster}', { every: 5_000 })
  const d = c.data
  return (
    <Page title={cluster} eyebrow={t('nav.overview')} badges={d?.versions?.map((v) => <span key={v} className="text-xs text-ink-3">{v}</span>)}>
      <PartialBanner errors={d?.errors} />
      {c.error && !d ? (
        <ProblemBox error={c.error} onRetry={() => void c.refetch()} />
      ) : (
        <Stats className="lg:grid-cols-6">
          <Stat label={t('overview.in')} value={f.rate(d?.inTps)} sub={t('overview.perSecond')} />
          <Stat label={t('overview.out')} value={f.rate(d?.outTps)} sub={t('overview.perSecond')} />
          <Stat label={t('overview.lag')} value={f.compact(d?.lag)} sub={t('overview.lagSub')} />
          <Stat label={t('overview.topics')} value={f.int(d?.topics)} sub={d?.inToday !== undefined ? t('overview.today', { n: f.compact(d.inToday) }) : ' '} />
          <Stat label={t('overview.brokers')} value={f.int(d?.brokers)} sub={d ? t('overview.mastersSlaves', { masters: d.masters, slaves: d.slaves }) : ' '} tone={d?.withoutMaster.length ? 'bad' : undefined} />
          <Stat label={t('overview.disk')} value={f.percent(d?.maxDiskRatio)} tone={d?.maxDiskRatio === undefined ? undefined : d.maxDiskRatio >= 0.85 ? 'bad' : d.maxDiskRatio >= 0.75 ? 'warn' : undefined} sub=" " />
        </Stats>
      )}
      <div className="grid gap-4 xl:grid-cols-[minmax(0,1fr)_380px]">
        <div className="grid min-w-0 content-start gap-4 lg:grid-cols-2">
          <Traffic metric="broker.in.tps" title={t('overview.trafficIn')} />
          <Traffic metric="broker.out.tps" title={t('overview.trafficOut')} />
          <TopTopics />
          <TopGroups />
        </div>
        <div className="grid min-w-0 content-start gap-4 lg:grid-cols-2 xl:grid-cols-1">
          <HealthPanel />
          <Alerts />
          <Audit />
        </div>
      </div>
    </Page>
  )
}

function Traffic({ metric, title }: { metric: string; title: string }) {
  const t = useT()
  const range = useRecent(3_600_000)
  const q = useApi('/clusters/{cluster}/metrics/query', { query: { name: metric, by: 'broker', ...range, step: 10_000 }, keep: true })
  return (
    <Panel title={title} note={t('overview.lastHour')}>
      {q.error && !q.data ? <ProblemBox error={q.error} /> : <MetricChart data={q.data} label={title} sync="overview" height={170} />}
    </Panel>
  )
}

function HealthPanel() {
  const t = useT()
  const maybe = useMaybeT()
  const f = useFormats()
  const health = useApi('/clusters/{cluster}/health', { every: 10_000 })
  const h = health.data
  if (!h) return <Panel title={t('overview.health')}>{health.error ? <ProblemBox error={health.error} /> : <Skeleton lines={5} />}</Panel>
  const order = { fault: 0, warn: 1, ok: 2 }
  return (
    <Panel title={<StatusBadge tone={TONE[h.verdict]}>{t(`overview.health_${h.verdict}`)}</StatusBadge>} actions={<span className="text-xs text-ink-3">{t('overview.checked', { ago: f.ago(h.checkedAt) })}</span>} className={cn('border-t-2', h.verdict === 'fault' ? 'border-t-bad' : h.verdict === 'warn' ? 'border-t-warn' : 'border-t-ok')}>
      <ul className="m-0 list-none p-0">
        {h.checks.toSorted((a, b) => order[a.level] - order[b.level]).map((c, i) => (
          <li key={i} className="border-b border-line/70 py-1.5 last:border-0 last:pb-0">
            <div className="flex items-baseline justify-between gap-3">
              <StatusBadge tone={TONE[c.level]}>{t(`overview.rule_${c.rule}`)}</StatusBadge>
              {c.node && <span className="name truncate text-ink-3">{c.node}</span>}
            </div>
            {(maybe(`health.${c.code}`, c.values) ?? c.detail) && <div className="pl-5 text-xs text-ink-3">{maybe(`health.${c.code}`, c.values) ?? c.detail}</div>}
          </li>
        ))}
      </ul>
    </Panel>
  )
}

/** Names with a bar for their share of the largest. */
function Bars({ items, format, to, empty }: { items: { name: string; value: Int | null | undefined; tone?: string }[] | undefined; format: (v: Int) => string; to: (name: string) => ReactNode; empty: string }) {
  if (!items) return <Skeleton lines={6} />
  if (items.length === 0) return <p className="py-6 text-center text-ink-3">{empty}</p>
  const max = Math.max(1e-9, ...items.map((i) => typeof i.value === 'number' ? i.value : (toNum(i.value) ?? 0)))
  return (
    <ol className="m-0 list-none p-0">
      {items.map((i) => {
        const n = typeof i.value === 'number' ? i.value : (toNum(i.value) ?? 0)
        return (
          <li key={i.name} className="py-[5px]">
            <div className="flex items-baseline justify-between gap-4">
              <span className="min-w-0 truncate">{to(i.name)}</span>
              <span className="font-medium">{format(i.value ?? 0)}</span>
            </div>
            <div aria-hidden className="mt-0.5 h-[3px] rounded-full bg-line/60">
              <div className={cn('h-full rounded-full', i.tone ?? 'bg-(--c1)')} style={{ width: `${Math.max(0.5, (n / max) * 100)}%` }} />
            </div>
          </li>
        )
      })}
    </ol>
  )
}

function TopTopics() {
  const t = useT()
  const f = useFormats()
  const c = useCluster()
  const range = useRecent(900_000)
  const q = useApi('/clusters/{cluster}/metrics/query', { query: { name: 'topic.in.tps', by: 'topic', top: 8, ...range, step: 10_000 }, keep: true })
  const items = q.data && (q.data.series ?? []).map((s) => ({ name: s.labels.topic ?? '', values: s.values as (number | null)[] }))
  return (
    <Panel title={t('overview.topTopics')} note={t('overview.perSecond')} actions={<Link to="/c/$c/topics" params={{ c } as never} className="link text-xs">{t('overview.allTopics')}</Link>}>
      {q.error && !q.data ? (
        <ProblemBox error={q.error} />
      ) : !items ? (
        <Skeleton lines={6} />
      ) : items.length === 0 ? (
        <p className="py-6 text-center text-ink-3">{t('overview.noTraffic')}</p>
      ) : (
        <ol className="m-0 list-none p-0">
          {items.map((i) => (
            <li key={i.name} className="flex items-center gap-3 border-b border-line/70 py-1 last:border-0">
              <Link to="/c/$c/topics/$t" params={{ c, t: i.name } as never} className="link name min-w-0 flex-1 truncate">
                {i.name}
              </Link>
              <Sparkline values={i.values} label={t('overview.lastQuarter', { name: i.name })} />
              <span className="w-14 text-right font-medium">{f.rate(i.values.findLast((v) => v !== null))}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}

function TopGroups() {
  const t = useT()
  const f = useFormats()
  const c = useCluster()
  const q = useApi('/clusters/{cluster}/groups', { query: { sort: '-lag', limit: 8 }, every: 10_000 })
  return (
    <Panel title={t('overview.topGroups')} note={t('overview.lagSub')} actions={<Link to="/c/$c/groups" params={{ c } as never} search={{ sort: '-lag' } as never} className="link text-xs">{t('overview.allGroups')}</Link>}>
      {q.error && !q.data ? (
        <ProblemBox error={q.error} />
      ) : (
        <Bars
          items={q.data?.items.filter((x) => (toNum(x.lag) ?? 0) > 0).map((x) => ({ name: x.name, value: x.lag, tone: 'bg-(--c2)' }))}
          format={(v) => f.int(v)}
          empty={t('overview.noLag')}
          to={(name) => (
            <Link to="/c/$c/groups/$g" params={{ c, g: name } as never} className="link name">
              {name}
            </Link>
          )}
        />
      )}
    </Panel>
  )
}

function Alerts() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const q = useApi('/alerts', { every: 10_000 })
  const firing = q.data?.items.filter((a) => a.state === 'firing' && a.cluster === cluster)
  return (
    <Panel title={t('overview.alerts')} actions={<Link to="/alerts" className="link text-xs">{t('overview.allAlerts')}</Link>}>
      {q.error && !q.data ? (
        <ProblemBox error={q.error} />
      ) : !firing ? (
        <Skeleton lines={2} />
      ) : firing.length === 0 ? (
        <StatusBadge tone="ok">{t('overview.noAlerts')}</StatusBadge>
      ) : (
        <ul className="m-0 list-none p-0">
          {firing.slice(0, 6).map((a) => (
            <li key={a.id} className="py-1">
              <StatusBadge tone={a.severity === 'fault' ? 'bad' : 'warn'}>
                <span className="name">{a.target}</span>
              </StatusBadge>
              <div className="pl-5 text-xs text-ink-3">
                {t(`alerts.kind_${a.kind as Kind}`)}: {alertValue(f, a.kind, a.value, (n) => t('alerts.daysN', { n }))} ({t('alerts.threshold')} {alertValue(f, a.kind, a.threshold, (n) => t('alerts.daysN', { n }))}) · {t('overview.since', { ago: f.ago(a.since) })}
              </div>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Audit() {
  const t = useT()
  const f = useFormats()
  const q = useApi('/audit', { query: { limit: 6 }, every: 30_000 })
  return (
    <Panel title={t('overview.audit')} actions={<Link to="/audit" className="link text-xs">{t('overview.allAudit')}</Link>}>
      {q.error && !q.data ? (
        <ProblemBox error={q.error} />
      ) : !q.data ? (
        <Skeleton lines={3} />
      ) : q.data.items.length === 0 ? (
        <p className="text-ink-3">{t('overview.noAudit')}</p>
      ) : (
        <ul className="m-0 list-none p-0">
          {q.data.items.slice(0, 6).map((a) => (
            <li key={a.id} className="flex items-baseline justify-between gap-3 border-b border-line/70 py-1.5 last:border-0">
              <span className="min-w-0 truncate">
                <b className="font-medium">{a.user}</b> <span className="text-ink-2">{a.action}</span> <span className="name">{a.target}</span>
              </span>
              <time className="shrink-0 text-xs text-ink-3" title={f.time(a.time)}>{f.ago(a.time)}</time>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
