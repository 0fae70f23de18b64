import { useCluster } from '@/api/hooks'
import { ConfigTable } from '@/components/ConfigTable'

export function BrokerConfig({ broker, id }: { broker: string; id: string }) {
  const cluster = useCluster()
  return <ConfigTable id={`config-${broker}-${id}`} path="/clusters/{cluster}/brokers/{broker}/{id}/config" params={{ cluster, broker, id }} />
}
