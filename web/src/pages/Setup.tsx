import { useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { call, setCSRF } from '@/api/client'
import { useApi } from '@/api/hooks'
import { Button, FormProblem, TextField, useForm } from '@/components/Form'
import { useT } from '@/i18n'
import { Gate } from './Login'

export default function Setup() {
  const t = useT()
  const state = useApi('/setup')
  const client = useQueryClient()
  const navigate = useNavigate()
  const form = useForm(
    { token: '', user: 'admin', password: '', repeat: '' },
    async ({ token, user, password }) => {
      const s = await call('POST', '/setup', { body: { token: token.trim(), user, password } })
      setCSRF(s.csrfToken)
      client.setQueryData(['/session', {}, {}], s)
      await navigate({ to: '/' })
    },
    (v) => ({
      token: v.token.trim() ? undefined : t('common.required'),
      user: v.user ? undefined : t('common.required'),
      password: v.password.length >= 8 ? undefined : t('login.passwordShort'),
      repeat: v.repeat === v.password ? undefined : t('login.passwordDiffers'),
    }),
  )
  if (state.data && !state.data.required) {
    return (
      <Gate title={t('login.setupTitle')}>
        <p className="mb-4 text-ink-2">{t('login.setupDone')}</p>
        <Link to="/login" className="btn">{t('login.toLogin')}</Link>
      </Gate>
    )
  }
  return (
    <Gate title={t('login.setupTitle')}>
      <form onSubmit={form.submit} className="flex flex-col gap-4" noValidate>
        <p className="text-ink-2">{t('login.setupHint')}</p>
        <TextField mono label={t('login.token')} autoComplete="off" spellCheck={false} value={form.values.token} onChange={(v) => form.set('token', v)} error={form.error('token')} />
        <TextField label={t('login.user')} autoComplete="username" spellCheck={false} value={form.values.user} onChange={(v) => form.set('user', v)} error={form.error('user')} />
        <TextField label={t('login.newPassword')} hint={t('login.passwordHint')} type="password" autoComplete="new-password" value={form.values.password} onChange={(v) => form.set('password', v)} error={form.error('password')} />
        <TextField label={t('login.repeat')} type="password" autoComplete="new-password" value={form.values.repeat} onChange={(v) => form.set('repeat', v)} error={form.error('repeat')} />
        <FormProblem text={form.problem} />
        <Button kind="primary" type="submit" busy={form.busy} className="h-9">{t('login.finish')}</Button>
      </form>
    </Gate>
  )
}
