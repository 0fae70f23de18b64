import { useState } from 'react'
import { call } from '@/api/client'
import { useSession } from '@/api/session'
import { Button, FormProblem, SelectField, TextField, useForm } from '@/components/Form'
import { Facts, Panel } from '@/components/Layout'
import { toast } from '@/components/Toasts'
import { useT } from '@/i18n'
import { setPrefs, usePrefs, type Prefs } from '@/lib/prefs'

export function Profile() {
  const t = useT()
  const s = useSession()
  const p = usePrefs()
  const [changed, setChanged] = useState(0)
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Panel title={t('settings.look')}>
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField label={t('settings.language')} value={p.lang} onChange={(v) => setPrefs({ lang: v as Prefs['lang'] })} options={[{ value: 'en', label: 'English' }, { value: 'zh-CN', label: '简体中文' }]} />
          <SelectField label={t('settings.theme')} value={p.theme} onChange={(v) => setPrefs({ theme: v as Prefs['theme'] })} options={(['system', 'light', 'dark', 'contrast'] as const).map((value) => ({ value, label: t(`shell.theme_${value}`) }))} />
          <SelectField
            label={t('settings.zone')}
            value={p.zone}
            onChange={(zone) => setPrefs({ zone })}
            options={[{ value: 'browser', label: t('shell.zoneBrowser', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone }) }, ...Intl.supportedValuesOf('timeZone').concat('UTC').filter((z, i, all) => all.indexOf(z) === i).map((z) => ({ value: z, label: z }))]}
          />
          <SelectField label={t('settings.density')} value={p.density} onChange={(v) => setPrefs({ density: v as Prefs['density'] })} options={[{ value: 'dense', label: t('settings.dense') }, { value: 'comfortable', label: t('settings.comfortable') }]} />
        </div>
      </Panel>
      <Panel title={s.user ?? t('settings.tabProfile')}>
        {!s.user ? (
          <p className="text-ink-2">{t('settings.openSession')}</p>
        ) : (
          <>
            <Facts
              columns={1}
              items={[
                { label: t('settings.role'), value: s.role ? t(`roles.${s.role}`) : '–' },
                ...(s.topicScope ? [{ label: t('settings.topicScope'), value: <span className="name">{s.topicScope}</span> }] : []),
                ...(s.groupScope ? [{ label: t('settings.groupScope'), value: <span className="name">{s.groupScope}</span> }] : []),
              ]}
            />
            <p className="mt-2 text-xs text-ink-3">{t('settings.roleHint')}</p>
          </>
        )}
      </Panel>
      {s.user && s.authenticator === 'file' && !s.open && <Password key={changed} onDone={() => setChanged(changed + 1)} />}
    </div>
  )
}

const EMPTY = { old: '', new: '', repeat: '' }

function Password({ onDone }: { onDone: () => void }) {
  const t = useT()
  const form = useForm(
    EMPTY,
    async (v) => {
      await call('POST', '/session/password', { body: { old: v.old, new: v.new } })
      toast('ok', t('settings.passwordDone'))
      onDone()
    },
    (v) => ({ old: v.old ? undefined : t('common.required'), new: v.new.length >= 8 ? undefined : t('login.passwordShort'), repeat: v.repeat === v.new ? undefined : t('login.passwordDiffers') }),
  )
  const field = (key: keyof typeof EMPTY, complete: string) => <TextField type="password" autoComplete={complete} label={t(`settings.${key}`)} value={form.values[key]} onChange={(v) => form.set(key, v)} error={form.error(key)} />
  return (
    <Panel title={t('settings.password')}>
      <form onSubmit={form.submit} noValidate className="flex max-w-sm flex-col gap-4">
        {field('old', 'current-password')}
        {field('new', 'new-password')}
        {field('repeat', 'new-password')}
        <FormProblem text={form.problem} />
        <div><Button kind="primary" type="submit" busy={form.busy}>{t('settings.password')}</Button></div>
      </form>
    </Panel>
  )
}
