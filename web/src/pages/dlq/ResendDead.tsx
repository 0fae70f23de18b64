import { useQuery } from '@tanstack/react-query'
import { call } from '@/api/client'
import { useIdempotencyKey } from '@/api/hooks'
import type { S } from '@/api/types'
import { Dialog } from '@/components/Dialog'
import { FormButtons, FormProblem, NumberField, TextField, useForm } from '@/components/Form'
import { Skeleton } from '@/components/Layout'
import { Steps } from '@/components/PlanConfirm'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'

/** Starts the job that sends copies of dead letters to the topics they came from. The server first counts them. */
export function ResendDead({ params, selection, onStarted, onClose }: {
  params: { cluster: string; group: string }
  selection: S['DLQSelection']
  onStarted: (job: string) => void
  onClose: () => void
}) {
  const t = useT()
  const key = useIdempotencyKey()
  const ask = (body: S['DLQSelection'], dryRun?: true) => call('POST', '/clusters/{cluster}/dlq/{group}/resend', { params, body, query: { dryRun }, idempotencyKey: dryRun ? undefined : key })
  const plan = useQuery({ queryKey: ['plan', key], queryFn: async () => (await ask(selection, true)) as unknown as S['ChangeResult'], retry: false, staleTime: Infinity, gcTime: 0 })
  const form = useForm(
    { topic: '', ratePerSecond: 100 },
    async (v) => {
      const job = (await ask({ ...selection, topic: v.topic.trim() || undefined, ratePerSecond: v.ratePerSecond })) as unknown as S['Job']
      onStarted(job.id)
    },
    (v) => ({ ratePerSecond: v.ratePerSecond >= 1 ? undefined : t('dlq.badRate') }),
  )
  return (
    <Dialog title={t('dlq.resendTitle')} onClose={onClose} locked={form.busy}>
      <form onSubmit={form.submit} noValidate className="flex flex-col gap-4">
        <p className="text-ink-2">{t('dlq.resendHint')}</p>
        {plan.error ? <ProblemBox error={plan.error} onRetry={() => void plan.refetch()} /> : plan.data ? <Steps result={plan.data} /> : <Skeleton lines={2} />}
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField mono label={t('messages.resendTo')} hint={t('dlq.topicHint')} value={form.values.topic} onChange={(v) => form.set('topic', v)} error={form.error('topic')} />
          <NumberField label={t('dlq.rate')} min={1} value={form.values.ratePerSecond} onChange={(v) => form.set('ratePerSecond', v)} error={form.error('ratePerSecond')} />
        </div>
        <FormProblem text={form.problem} />
        <FormButtons form={form} submit={t('messages.resend')} onCancel={onClose} />
      </form>
    </Dialog>
  )
}
