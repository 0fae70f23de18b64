import { Link, useParams } from '@tanstack/react-router'
import { ArrowRight } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useApi, useCluster } from '@/api/hooks'
import type { Body, S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Confirm } from '@/components/Dialog'
import { Button, Field, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { Page, Panel, Stat, Stats } from '@/components/Layout'
import { StatusBadge } from '@/components/Status'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { toBig, useFormats } from '@/lib/format'
import { localInput, parseLocal } from '@/lib/localtime'
import { usePrefs, zoneOf } from '@/lib/prefs'

type Change = Body<'/clusters/{cluster}/groups/{group}/offsets', 'PATCH'>
const WAYS = ['time', 'earliest', 'latest', 'shift', 'offset', 'group'] as const

/** Moves a group's offsets: say where to, see per queue what would happen, then do it. */
export default function ResetOffsets() {
  const t = useT()
  const cluster = useCluster()
  const { g: group = '' } = useParams({ strict: false }) as { g?: string }
  const [change, setChange] = useState<Change | null>(null)
  const [plan, setPlan] = useState<S['OffsetPlan'] | null>(null)
  const step = !plan ? 0 : plan.dryRun ? 1 : 2
  const ask = (body: Change, dryRun: boolean) => call('PATCH', '/clusters/{cluster}/groups/{group}/offsets', { params: { cluster, group }, body, query: { dryRun: dryRun || undefined } })
  return (
    <Page
      wide={step > 0}
      title={t('reset.title')}
      eyebrow={
        <Link to="/c/$c/groups/$g" params={{ c: cluster, g: group } as never} className="name hover:text-ink">
          {group}
        </Link>
      }
    >
      <ol className="m-0 flex list-none flex-wrap gap-x-2 gap-y-1 p-0">
        {[t('reset.stepWhere'), t('reset.stepPreview'), t('reset.stepDone')].map((label, i) => (
          <li key={label} aria-current={i === step ? 'step' : undefined} className={cn('flex items-center gap-2', i === step ? 'font-medium text-ink' : 'text-ink-3')}>
            <span className={cn('grid size-5 place-items-center rounded-full text-2xs font-semibold', i === step ? 'bg-accent text-on-accent' : 'bg-line text-ink-2')}>{i + 1}</span>
            {label}
            {i < 2 && <ArrowRight aria-hidden className="mx-1 size-3.5 text-ink-3" />}
          </li>
        ))}
      </ol>
      {/* Kept while the preview is shown, so that going back finds what was typed. */}
      <div hidden={step !== 0}>
        <Where
          group={group}
          onPreview={async (body) => {
            setPlan(await ask(body, true))
            setChange(body)
          }}
        />
      </div>
      {plan && change && (
        <Plan
          group={group}
          plan={plan}
          onBack={() => setPlan(null)}
          onApply={async () => setPlan(await ask(change, false))}
        />
      )}
    </Page>
  )
}

function Where({ group, onPreview }: { group: string; onPreview: (c: Change) => Promise<void> }) {
  const t = useT()
  const f = useFormats()
  const zone = zoneOf(usePrefs())
  const detail = useApi('/clusters/{cluster}/groups/{group}', { params: { group } })
  const topics = (detail.data?.topics ?? []).filter((x) => !x.startsWith('%RETRY%'))
  const [hourAgo] = useState(() => localInput(Date.now() - 3_600_000, zone))
  const form = useForm(
    // An hour ago and not now: now would move nothing, which looks as if the reset had not worked.
    { topic: '', to: 'time' as (typeof WAYS)[number], time: hourAgo, offset: '', shift: '-100', group: '' },
    (v) =>
      onPreview({
        topic: v.topic || topics[0] || '',
        to: v.to,
        ...(v.to === 'time' && { time: parseLocal(v.time, zone) }),
        ...(v.to === 'offset' && { offset: v.offset }),
        ...(v.to === 'shift' && { shift: v.shift }),
        ...(v.to === 'group' && { group: v.group }),
      }),
    (v) => ({
      topic: v.topic || topics[0] ? undefined : t('reset.chooseTopic'),
      time: v.to !== 'time' || Number.isFinite(parseLocal(v.time, zone)) ? undefined : t('reset.badTime'),
      offset: v.to !== 'offset' || /^\d+$/.test(v.offset) ? undefined : t('reset.badNumber'),
      shift: v.to !== 'shift' || /^-?\d+$/.test(v.shift) ? undefined : t('reset.badNumber'),
      group: v.to !== 'group' || v.group ? undefined : t('common.required'),
    }),
  )
  const v = form.values
  return (
    <Panel>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-5">
        <SelectField label={t('reset.topic')} value={v.topic || topics[0] || ''} onChange={(x) => form.set('topic', x)} error={form.error('topic')} options={topics.map((x) => ({ value: x, label: x }))} />
        <fieldset className="m-0 border-0 p-0">
          <legend className="mb-1.5 p-0 font-medium">{t('reset.to')}</legend>
          <div className="grid gap-2 sm:grid-cols-2">
            {WAYS.map((w) => (
              <label key={w} className={cn('flex cursor-pointer items-start gap-2.5 rounded-md border px-3 py-2', v.to === w ? 'border-accent bg-accent-soft' : 'hover:border-line-strong')}>
                <input type="radio" name="to" className="mt-[3px] accent-(--accent)" checked={v.to === w} onChange={() => form.set('to', w)} />
                <span>
                  <span className="font-medium">{t(`reset.to_${w}`)}</span>
                  <span className="block text-xs text-ink-2">{t(`reset.to_${w}Hint`)}</span>
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        {v.to === 'time' && (
          <Field label={t('reset.time', { zone: f.zoneName })} error={form.error('time')} className="max-w-72">
            {(a) => <input {...a} type="datetime-local" step={1} className="input" value={v.time} onChange={(e) => form.set('time', e.target.value)} />}
          </Field>
        )}
        {v.to === 'offset' && <TextField mono inputMode="numeric" className="max-w-72" label={t('reset.offset')} value={v.offset} onChange={(x) => form.set('offset', x.trim())} error={form.error('offset')} />}
        {v.to === 'shift' && <TextField mono className="max-w-72" label={t('reset.shift')} value={v.shift} onChange={(x) => form.set('shift', x.trim())} error={form.error('shift')} />}
        {v.to === 'group' && <TextField mono className="max-w-96" label={t('reset.group')} value={v.group} onChange={(x) => form.set('group', x.trim())} error={form.error('group')} />}
        <FormProblem text={form.problem} />
        <div className="flex justify-end gap-2">
          <Link to=".." className="btn">{t('common.cancel')}</Link>
          <Button kind="primary" type="submit" busy={form.busy}>{t('reset.preview')}</Button>
        </div>
      </form>
    </Panel>
  )
}

function Plan({ group, plan, onBack, onApply }: { group: string; plan: S['OffsetPlan']; onBack: () => void; onApply: () => Promise<void> }) {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const [asking, setAsking] = useState(false)
  const done = plan.items.filter((x) => x.done).length
  const failed = plan.items.filter((x) => x.error).length
  const moves = plan.items.some((x) => x.current !== x.target)
  return (
    <>
      <PartialBanner errors={plan.errors} />
      {!plan.dryRun && (
        <div role="status" className="panel flex flex-wrap gap-x-6 gap-y-1 p-3.5">
          <StatusBadge tone="ok">{t('reset.done', { count: done })}</StatusBadge>
          {failed > 0 && <StatusBadge tone="bad">{t('reset.failed', { count: failed })}</StatusBadge>}
        </div>
      )}
      <Stats className="sm:grid-cols-2">
        <Stat label={t('reset.again')} value={f.int(plan.again)} tone={plan.again !== '0' ? 'warn' : undefined} />
        <Stat label={t('reset.skipped')} value={f.int(plan.skipped)} tone={plan.skipped !== '0' ? 'bad' : undefined} />
      </Stats>
      <p className="text-ink-2">{plan.dryRun && !moves ? t('reset.noChange') : t(`reset.method_${plan.method}`)}</p>
      <Panel flush>
        <DataTable
          id="reset"
          label={t('reset.stepPreview')}
          rows={plan.items}
          rowKey={(r) => `${r.topic}/${r.broker}/${r.queue}`}
          sort="queue"
          columns={[
            { id: 'queue', label: t('common.queue'), value: (r) => `${r.broker} ${r.queue}`, cell: (r) => <span className="name">{r.broker} <span className="text-ink-3">/ {r.queue}</span></span> },
            { id: 'current', label: t('reset.current'), value: (r) => toBig(r.current), format: 'int' },
            { id: 'target', label: t('reset.target'), value: (r) => toBig(r.target), num: true, cell: (r) => <b className="font-semibold">{f.int(r.target)}</b> },
            { id: 'again', label: t('reset.again'), value: (r) => toBig(r.again), num: true, cell: (r) => <span className={r.again === '0' ? 'text-ink-3' : 'text-warn'}>{f.int(r.again)}</span> },
            { id: 'skipped', label: t('reset.skipped'), value: (r) => toBig(r.skipped), num: true, cell: (r) => <span className={r.skipped === '0' ? 'text-ink-3' : 'text-bad'}>{f.int(r.skipped)}</span> },
            { id: 'min', label: t('reset.min'), value: (r) => toBig(r.min), format: 'int' },
            { id: 'max', label: t('reset.max'), value: (r) => toBig(r.max), format: 'int' },
            ...(plan.dryRun ? [] : [{ id: 'done', label: t('common.state'), value: (r: S['OffsetPlanQueue']) => (r.error ? 0 : 1), cell: (r: S['OffsetPlanQueue']) => <StatusBadge tone={r.error ? 'bad' : 'ok'}>{r.error?.detail ?? t('common.yes')}</StatusBadge> }]),
          ]}
        />
      </Panel>
      <div className="flex justify-end gap-2">
        {plan.dryRun ? (
          <>
            <Button onClick={onBack}>{t('common.back')}</Button>
            <Button kind="danger" disabled={plan.items.length === 0} onClick={() => setAsking(true)}>{t('reset.apply')}</Button>
          </>
        ) : (
          <Link to="/c/$c/groups/$g" params={{ c: cluster, g: group } as never} className="btn btn-primary">{t('reset.toGroup')}</Link>
        )}
      </div>
      {asking && (
        <Confirm title={t('reset.title')} type={group} action={t('reset.apply')} act={onApply} onClose={() => setAsking(false)}>
          <ul className="list-none p-0">
            <li>{t('reset.again')}: <b>{f.int(plan.again)}</b></li>
            <li>{t('reset.skipped')}: <b>{f.int(plan.skipped)}</b></li>
          </ul>
        </Confirm>
      )}
    </>
  )
}
