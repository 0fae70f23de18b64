import { Plus, X } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import { useAction, useApi } from '@/api/hooks'
import type { S } from '@/api/types'
import { Button, Pick } from '@/components/Form'
import { Panel, Skeleton } from '@/components/Layout'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'

export function Masking() {
  const q = useApi('/settings')
  if (q.error && !q.data) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  if (!q.data) return <Skeleton lines={4} />
  return <Rules initial={q.data.masking} />
}

function Rules({ initial }: { initial: S['MaskingRule'][] }) {
  const t = useT()
  const [rules, setRules] = useState(initial)
  const save = useAction(() => call('PATCH', '/settings', { body: { masking: rules.filter((r) => r.pattern.trim()) } }), { invalidate: ['/settings'], done: () => t('settings.maskSaved') })
  const change = (i: number, part: Partial<S['MaskingRule']>) => setRules(rules.map((r, k) => (k === i ? { ...r, ...part } : r)))
  return (
    <Panel title={t('settings.tabMasking')}>
      <p className="mb-3 text-ink-2">{t('settings.maskHint')}</p>
      {rules.length === 0 && <p className="mb-3 text-ink-3">{t('settings.maskNone')}</p>}
      <ul className="m-0 flex max-w-3xl list-none flex-col gap-2 p-0">
        {rules.map((r, i) => (
          <li key={i} className="flex flex-wrap gap-2 sm:flex-nowrap">
            <Pick label={t('settings.maskKind')} value={r.kind} onChange={(v) => change(i, { kind: v as S['MaskingRule']['kind'] })} options={(['property', 'jsonPath'] as const).map((value) => ({ value, label: t(`settings.maskKind_${value}`) }))} />
            <input className="input name" aria-label={t('settings.maskPattern')} placeholder={r.kind === 'jsonPath' ? '$.card.number' : t('settings.maskPattern')} value={r.pattern} onChange={(e) => change(i, { pattern: e.target.value })} />
            <input className="input name" aria-label={t('settings.maskTopic')} placeholder={t('settings.maskTopic')} value={r.topic ?? ''} onChange={(e) => change(i, { topic: e.target.value || undefined })} />
            <Button kind="quiet" className="btn-icon shrink-0" aria-label={t('settings.remove')} onClick={() => setRules(rules.filter((_, k) => k !== i))}>
              <X aria-hidden className="size-4" />
            </Button>
          </li>
        ))}
      </ul>
      <div className="mt-4 flex gap-2">
        <Button onClick={() => setRules([...rules, { kind: 'property', pattern: '' }])}>
          <Plus aria-hidden className="size-3.5" />
          {t('settings.maskAdd')}
        </Button>
        <Button kind="primary" busy={save.isPending} disabled={JSON.stringify(rules) === JSON.stringify(initial)} onClick={() => save.mutate()}>{t('common.save')}</Button>
      </div>
    </Panel>
  )
}
