import { Plus, ShieldCheck } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useCluster, useList } from '@/api/hooks'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Panel } from '@/components/Layout'
import { PlanConfirm } from '@/components/PlanConfirm'
import { StatusBadge, Tag } from '@/components/Status'
import { useT } from '@/i18n'
import { AclOff } from './AclOff'
import { PolicyDialog } from './PolicyDialog'
import { tellSteps } from '@/lib/steps'

interface Row {
  key: string
  subject: string
  policy: S['AclPolicy']
  type: string
  entry: S['AclEntry']
}

/** One row an entry: who may do what with which resource, from where. */
export function AclPolicies() {
  const t = useT()
  const cluster = useCluster()
  const [editing, setEditing] = useState<S['AclPolicy'] | 'new' | null>(null)
  const [deleting, setDeleting] = useState<Row | null>(null)
  const q = useList('/clusters/{cluster}/acl/policies')
  const rows = q.data?.items.flatMap((policy) => policy.policies.flatMap((g) => g.entries.map((entry): Row => ({ key: `${policy.subject} ${g.type} ${entry.resource}`, subject: policy.subject, policy, type: g.type, entry }))))
  const add = (
    <Button kind="primary" onClick={() => setEditing('new')}>
      <Plus aria-hidden className="size-4" />
      {t('acl.addPolicy')}
    </Button>
  )
  return (
    <>
      <PartialBanner errors={q.data?.errors} />
      {q.error && !q.data ? (
        <AclOff error={q.error} onRetry={() => void q.refetch()} />
      ) : (
        <Panel flush>
          <DataTable
            id="acl-policies"
            label={t('acl.policies')}
            rows={rows}
            rowKey={(r) => r.key}
            sort="subject"
            tools={add}
            columns={[
              { id: 'subject', label: t('acl.subject'), value: (r) => r.subject, cell: (r) => <span className="inline-flex items-center gap-2"><span className="name">{r.subject}</span>{r.policy.differs && <StatusBadge tone="warn">{t('acl.differs')}</StatusBadge>}</span> },
              { id: 'decision', label: t('acl.decision'), value: (r) => r.entry.decision, cell: (r) => <StatusBadge tone={r.entry.decision === 'Allow' ? 'ok' : 'bad'}>{t(`acl.decision_${r.entry.decision}`)}</StatusBadge> },
              { id: 'actions', label: t('acl.actions'), value: (r) => r.entry.actions.join(', '), cell: (r) => <span className="inline-flex gap-1">{r.entry.actions.map((a) => <Tag key={a}>{a}</Tag>)}</span> },
              { id: 'resource', label: t('acl.resource'), value: (r) => r.entry.resource, format: 'name' },
              { id: 'sources', label: t('acl.sources'), value: (r) => r.entry.sources?.join(', '), cell: (r) => (r.entry.sources?.length ? <span className="name">{r.entry.sources.join(', ')}</span> : <span className="text-ink-3">{t('acl.anywhere')}</span>) },
              { id: 'type', label: t('common.type'), value: (r) => t(`acl.policy_${r.type as 'Custom'}`), hidden: true },
              {
                id: 'do', label: '', value: () => '', className: 'num',
                cell: (r) => (
                  <span className="inline-flex gap-1.5">
                    <Button small onClick={() => setEditing(r.policy)}>{t('common.edit')}</Button>
                    <Button small kind="danger-line" onClick={() => setDeleting(r)}>{t('common.delete')}</Button>
                  </span>
                ),
              },
            ]}
            empty={<EmptyState icon={ShieldCheck} title={t('acl.noPolicies')} action={add}>{t('acl.noPoliciesHint')}</EmptyState>}
          />
        </Panel>
      )}
      {editing && <PolicyDialog policy={editing === 'new' ? undefined : editing} onClose={() => setEditing(null)} />}
      {deleting && (
        <PlanConfirm
          title={t('acl.deleteEntry')}
          type={deleting.entry.resource}
          action={t('acl.deleteEntry')}
          run={(dryRun) => call('DELETE', '/clusters/{cluster}/acl/policies/{subject}', { params: { cluster, subject: deleting.subject }, query: { resource: deleting.entry.resource, dryRun: dryRun || undefined } })}
          onDone={(r) => {
            tellSteps(r, t('acl.policySaved', { name: deleting.subject }))
            void q.refetch()
          }}
          onClose={() => setDeleting(null)}
        >
          <p className="text-ink-2">{t('acl.deleteEntryHint', { subject: deleting.subject })}</p>
        </PlanConfirm>
      )}
    </>
  )
}
