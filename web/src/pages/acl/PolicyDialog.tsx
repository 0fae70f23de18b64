import { Plus, X } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useCluster } from '@/api/hooks'
import type { S } from '@/api/types'
import { Dialog } from '@/components/Dialog'
import { Button, FormProblem, Pick, TextField } from '@/components/Form'
import { useProblemText } from '@/components/Problem'
import { useT } from '@/i18n'
import { tellSteps } from '@/lib/steps'

const ACTIONS = ['All', 'Pub', 'Sub', 'Create', 'Update', 'Delete', 'Get', 'List'] as const
const KINDS = ['Topic', 'Group', 'Cluster'] as const
interface Line {
  kind: string
  name: string
  actions: string[]
  sources: string
  decision: 'Allow' | 'Deny'
  type: 'Custom' | 'Default'
}

const lineOf = (e: S['AclEntry'], type: Line['type']): Line => {
  const at = e.resource.indexOf(':')
  return { kind: at < 0 ? '*' : e.resource.slice(0, at), name: at < 0 ? '' : e.resource.slice(at + 1), actions: e.actions, sources: (e.sources ?? []).join(', '), decision: e.decision, type }
}
const empty: Line = { kind: 'Topic', name: '', actions: ['Pub', 'Sub'], sources: '', decision: 'Allow', type: 'Custom' }

/** All entries of one subject, written together. */
export function PolicyDialog({ policy, onClose }: { policy?: S['AclPolicy']; onClose: () => void }) {
  const t = useT()
  const text = useProblemText()
  const cluster = useCluster()
  const [subject, setSubject] = useState(policy?.subject.replace(/^User:/, '') ?? '')
  const [lines, setLines] = useState<Line[]>(() => policy?.policies.flatMap((g) => g.entries.map((e) => lineOf(e, g.type))) ?? [empty])
  const [wrong, setWrong] = useState<string>()
  const change = (i: number, part: Partial<Line>) => setLines(lines.map((l, k) => (k === i ? { ...l, ...part } : l)))
  const save = useAction(
    () => {
      const name = policy?.subject ?? `User:${subject.trim()}`
      const groups = (['Custom', 'Default'] as const).map((type) => ({
        type,
        entries: lines.filter((l) => l.type === type).map((l) => ({ resource: l.kind === '*' ? '*' : `${l.kind}:${l.name.trim()}`, actions: l.actions, sources: l.sources.split(/[\s,]+/).filter(Boolean), decision: l.decision })),
      }))
      return call('PUT', '/clusters/{cluster}/acl/policies/{subject}', { params: { cluster, subject: name }, body: { subject: name, policies: groups.filter((g) => g.entries.length > 0) } })
    },
    {
      quiet: true,
      invalidate: ['/clusters/{cluster}/acl/policies'],
      onDone: (r) => {
        tellSteps(r, t('acl.policySaved', { name: subject }))
        onClose()
      },
    },
  )
  const submit = (e: { preventDefault(): void }) => {
    e.preventDefault()
    const bad = !subject.trim() ? t('acl.needsSubject') : lines.some((l) => l.actions.length === 0) ? t('acl.needsActions') : lines.some((l) => l.kind !== '*' && !l.name.trim()) ? t('acl.needsResource') : lines.length === 0 ? t('acl.needsEntry') : undefined
    setWrong(bad)
    if (!bad) save.mutate()
  }
  return (
    <Dialog title={policy ? t('acl.editPolicy', { name: policy.subject }) : t('acl.addPolicy')} onClose={onClose} width="max-w-4xl" locked={save.isPending}>
      <form onSubmit={submit} noValidate className="flex flex-col gap-4">
        {!policy && <TextField mono className="max-w-80" label={t('acl.user')} value={subject} onChange={setSubject} />}
        <ol className="m-0 flex list-none flex-col gap-3 p-0">
          {lines.map((l, i) => (
            <li key={i} className="rounded-md border p-3">
              <fieldset className="m-0 flex flex-col gap-2.5 border-0 p-0">
                <legend className="sr-only">{t('acl.entry', { n: i + 1 })}</legend>
                <div className="flex flex-wrap items-center gap-2">
                  <Pick label={t('acl.decision')} value={l.decision} onChange={(v) => change(i, { decision: v as Line['decision'] })} options={(['Allow', 'Deny'] as const).map((value) => ({ value, label: t(`acl.decision_${value}`) }))} />
                  <Pick label={t('acl.resourceKind')} value={l.kind} onChange={(v) => change(i, { kind: v })} options={[...KINDS.map((value) => ({ value, label: t(`acl.kind_${value}`) })), { value: '*', label: t('acl.kind_any') }]} />
                  {l.kind !== '*' && <input className="input name w-auto min-w-40 flex-1" aria-label={t('acl.resourceName')} placeholder={t('acl.resourceHint')} value={l.name} onChange={(e) => change(i, { name: e.target.value })} />}
                  <Button kind="quiet" className="btn-icon" aria-label={t('acl.removeEntry', { n: i + 1 })} onClick={() => setLines(lines.filter((_, k) => k !== i))}>
                    <X aria-hidden className="size-4" />
                  </Button>
                </div>
                <div role="group" aria-label={t('acl.actions')} className="flex flex-wrap gap-x-4 gap-y-1">
                  {ACTIONS.map((a) => (
                    <label key={a} className="inline-flex items-center gap-1.5">
                      <input type="checkbox" className="accent-(--accent)" checked={l.actions.includes(a)} onChange={(e) => change(i, { actions: e.target.checked ? (a === 'All' ? ['All'] : [...l.actions.filter((x) => x !== 'All'), a]) : l.actions.filter((x) => x !== a) })} />
                      {t(`acl.action_${a}`)}
                    </label>
                  ))}
                </div>
                <input className="input name" aria-label={t('acl.sources')} placeholder={t('acl.sourcesHint')} value={l.sources} onChange={(e) => change(i, { sources: e.target.value })} />
              </fieldset>
            </li>
          ))}
        </ol>
        <div>
          <Button onClick={() => setLines([...lines, empty])}>
            <Plus aria-hidden className="size-3.5" />
            {t('acl.addEntry')}
          </Button>
        </div>
        <FormProblem text={wrong ?? (save.error ? text(save.error) : undefined)} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose} disabled={save.isPending}>{t('common.cancel')}</Button>
          <Button kind="primary" type="submit" busy={save.isPending}>{t('common.save')}</Button>
        </div>
      </form>
    </Dialog>
  )
}
