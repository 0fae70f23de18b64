import { useMay } from '@/api/session'
import { Page } from '@/components/Layout'
import { Tabs, useTab } from '@/components/Tabs'
import { useT } from '@/i18n'
import { About } from './settings/About'
import { Masking } from './settings/Masking'
import { Profile } from './settings/Profile'
import { Tokens } from './settings/Tokens'
import { Users } from './settings/Users'

export default function Settings() {
  const t = useT()
  const admin = useMay('admin')
  const tabs = [
    { id: 'profile', label: t('settings.tabProfile') },
    { id: 'tokens', label: t('settings.tabTokens') },
    ...(admin ? [{ id: 'users', label: t('settings.tabUsers') }, { id: 'masking', label: t('settings.tabMasking') }] : []),
    { id: 'about', label: t('settings.tabAbout') },
  ]
  const tab = useTab(tabs)
  return (
    <Page title={t('settings.title')}>
      <Tabs label={t('settings.title')} tabs={tabs} />
      {tab === 'profile' ? <Profile /> : tab === 'tokens' ? <Tokens /> : tab === 'users' ? <Users /> : tab === 'masking' ? <Masking /> : <About />}
    </Page>
  )
}
