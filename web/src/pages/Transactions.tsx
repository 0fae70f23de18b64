import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArrowLeftRight } from 'lucide-react'
import { useState } from 'react'
import { call } from '@/api/client'
import type { Problem } from '@/api/problem'
import { useCluster } from '@/api/hooks'
import { useMay } from '@/api/session'
import type { S } from '@/api/types'
import { PartialBanner } from '@/components/Banner'
import { DataTable } from '@/components/DataTable'
import { Button } from '@/components/Form'
import { EmptyState, Page, Panel, Stat, Stats } from '@/components/Layout'
import { PlanConfirm } from '@/components/PlanConfirm'
import { useT } from '@/i18n'
import { useFormats } from '@/lib/format'
import { messageKey } from './messages/MessageTable'
import { tellSteps } from '@/lib/steps'

const PATH = '/clusters/{cluster}/transactions'

/** Half messages: sent, but neither committed nor rolled back by their producer yet. */
export default function Transactions() {
  const t = useT()
  const f = useFormats()
  const cluster = useCluster()
  const operator = useMay('operator')
  const [asking, setAsking] = useState<S['HalfMessage'] | null>(null)
  const q = useInfiniteQuery<S['Transactions'], Problem, { pages: S['Transactions'][] }, unknown[], string | undefined>({
    queryKey: [PATH, cluster],
    queryFn: ({ pageParam, signal }) => call('GET', PATH, { params: { cluster }, query: { limit: 200, cursor: pageParam }, signal }),
    initialPageParam: undefined,
    getNextPageParam: (last) => last.nextCursor,
    refetchInterval: 15_000,
  })
  const first = q.data?.pages[0]
  return (
    <Page title={t('transactions.title')}>
      <PartialBanner errors={q.data?.pages.flatMap((p) => p.errors ?? [])} />
      <Stats>
        <Stat label={t('transactions.pending')} value={f.int(first?.pending)} />
        <Stat label={t('transactions.oldest')} value={f.ago(first?.oldest)} sub={f.time(first?.oldest)} />
      </Stats>
      <Panel flush>
        <DataTable
          id="transactions"
          label={t('transactions.title')}
          rows={q.data?.pages.flatMap((p) => p.items)}
          rowKey={(r) => messageKey(r.message)}
          error={q.error}
          onRetry={() => void q.refetch()}
          sort="stored"
          columns={[
            { id: 'stored', label: t('messages.storeTime'), value: (r) => r.message.storeTime, cell: (r) => <Link className="link" to="/c/$c/messages/$m" params={{ c: cluster, m: r.message.offsetId } as never}>{f.time(r.message.storeTime)}</Link> },
            { id: 'topic', label: t('common.topic'), value: (r) => r.realTopic, format: 'name' },
            { id: 'group', label: t('transactions.group'), value: (r) => r.producerGroup, format: 'name' },
            { id: 'checks', label: t('transactions.checks'), value: (r) => r.checks, format: 'int' },
            { id: 'keys', label: t('messages.keys'), value: (r) => r.message.keys?.join(' '), format: 'name' },
            { id: 'id', label: t('messages.id'), value: (r) => r.message.id, format: 'name' },
            ...(operator ? [{ id: 'do', label: '', value: () => '', className: 'num', cell: (r: S['HalfMessage']) => <Button small onClick={() => setAsking(r)}>{t('transactions.ask')}</Button> }] : []),
          ]}
          empty={<EmptyState icon={ArrowLeftRight} title={t('transactions.empty')}>{t('transactions.emptyHint')}</EmptyState>}
        />
        {q.hasNextPage && (
          <div className="border-t px-3.5 py-2">
            <Button small busy={q.isFetchingNextPage} onClick={() => void q.fetchNextPage()}>{t('transactions.more')}</Button>
          </div>
        )}
      </Panel>
      {asking && (
        <PlanConfirm
          title={t('transactions.ask')}
          action={t('transactions.ask')}
          danger={false}
          run={(dryRun) => call('POST', '/clusters/{cluster}/transactions/resumeCheck', { params: { cluster }, query: { dryRun: dryRun || undefined }, body: { topic: asking.message.topic, offsetId: asking.message.offsetId } })}
          onDone={(r) => {
            tellSteps(r, t('transactions.asked'))
            void q.refetch()
          }}
          onClose={() => setAsking(null)}
        >
          <p className="text-ink-2">{t('transactions.askHint')}</p>
        </PlanConfirm>
      )}
    </Page>
  )
}
