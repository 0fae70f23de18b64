import type { S } from '@/api/types'
import { useT } from '@/i18n'
import { useUrlState } from '@/lib/url'
import { DataTable } from './DataTable'
import { CheckField } from './Form'
import { Panel } from './Layout'
import { Tag } from './Status'

/** The configuration of one server: what it is, what it would be by default, and what it means. */
export function ConfigTable({ id, config }: { id: string; config: S['Config'] | undefined }) {
  const t = useT()
  const [only, setOnly] = useUrlState('changed')
  const changed = (e: S['ConfigEntry']) => e.default !== undefined && e.default !== e.value
  return (
    <Panel flush>
      <DataTable
        id={id}
        label={t('brokers.tabConfig')}
        rows={config?.items.filter((e) => only !== '1' || changed(e))}
        rowKey={(r) => r.key}
        sort="key"
        tools={<CheckField label={<span className="font-normal">{t('brokers.configChanged')}</span>} checked={only === '1'} onChange={(on) => setOnly(on ? '1' : '')} />}
        columns={[
          { id: 'key', label: t('brokers.configKey'), value: (r) => r.key, cell: (r) => <span className={changed(r) ? 'name font-semibold' : 'name'}>{r.key}</span> },
          { id: 'value', label: t('brokers.configValue'), value: (r) => r.value, cell: (r) => <span className="name" title={r.value}>{r.secret ? '••••••' : r.value}{r.unit && <span className="ml-1.5 text-ink-3">{r.unit}</span>}</span> },
          { id: 'default', label: t('brokers.configDefault'), value: (r) => r.default, format: 'name', className: 'text-ink-3' },
          { id: 'live', label: t('common.state'), value: (r) => (r.known === false ? 2 : r.live ? 0 : 1), cell: (r) => (r.known === false ? <Tag tone="warn">{t('brokers.configUnknown')}</Tag> : <Tag tone={r.live ? 'accent' : undefined}>{t(r.live ? 'brokers.configLive' : 'brokers.configRestart')}</Tag>) },
          { id: 'doc', label: t('brokers.configDoc'), value: (r) => r.doc, cell: (r) => <span className="text-ink-2" title={r.doc}>{r.doc}</span> },
        ]}
      />
    </Panel>
  )
}
