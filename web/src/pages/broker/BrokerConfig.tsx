import { useApi } from '@/api/hooks'
import { ConfigTable } from '@/components/ConfigTable'
import { ProblemBox } from '@/components/Problem'

export function BrokerConfig({ broker, id }: { broker: string; id: string }) {
  const q = useApi('/clusters/{cluster}/brokers/{broker}/{id}/config', { params: { broker, id } })
  if (q.error && !q.data) return <ProblemBox error={q.error} onRetry={() => void q.refetch()} />
  return <ConfigTable id={`config-${broker}-${id}`} config={q.data} />
}
