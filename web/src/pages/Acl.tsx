import { Page } from '@/components/Layout'
import { Tabs, useTab } from '@/components/Tabs'
import { useT } from '@/i18n'
import { AclCheck } from './acl/AclCheck'
import { AclPolicies } from './acl/AclPolicies'
import { AclUsers } from './acl/AclUsers'

/** ACL 2.0 of the brokers. */
export default function Acl() {
  const t = useT()
  const tabs = [
    { id: 'users', label: t('acl.users') },
    { id: 'policies', label: t('acl.policies') },
    { id: 'check', label: t('acl.check') },
  ]
  const tab = useTab(tabs)
  return (
    <Page title={t('acl.title')}>
      <Tabs label={t('acl.title')} tabs={tabs} />
      {tab === 'users' ? <AclUsers /> : tab === 'policies' ? <AclPolicies /> : <AclCheck />}
    </Page>
  )
}
