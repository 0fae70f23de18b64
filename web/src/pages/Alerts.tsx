import { Page } from '@/components/Layout'
import { Tabs, useTab } from '@/components/Tabs'
import { useMay } from '@/api/session'
import { useT } from '@/i18n'
import { AlertList } from './alerts/AlertList'
import { AlertRules } from './alerts/AlertRules'
import { AlertWebhook } from './alerts/AlertWebhook'

export default function Alerts() {
  const t = useT()
  const operator = useMay('operator')
  const tabs = [
    { id: 'alerts', label: t('alerts.title') },
    { id: 'rules', label: t('alerts.rules') },
    ...(operator ? [{ id: 'webhook', label: t('alerts.webhook') }] : []),
  ]
  const tab = useTab(tabs)
  return (
    <Page title={t('alerts.title')}>
      <Tabs label={t('alerts.title')} tabs={tabs} />
      {tab === 'rules' ? <AlertRules /> : tab === 'webhook' ? <AlertWebhook /> : <AlertList />}
    </Page>
  )
}
