import { call, setCSRF } from '@/api/client'
import type { Session } from '@/api/session'
import { Button, FormProblem, TextField, useForm } from '@/components/Form'
import { useT } from '@/i18n'

/** Name and password; used by the login page and above a page whose session ended. */
export function SignIn({ user = '', onDone }: { user?: string; onDone: (s: Session) => void }) {
  const t = useT()
  const form = useForm(
    { user, password: '' },
    async (v) => {
      const s = await call('POST', '/session', { body: v })
      setCSRF(s.csrfToken)
      onDone(s)
    },
    (v) => ({ user: v.user ? undefined : t('common.required'), password: v.password ? undefined : t('common.required') }),
  )
  return (
    <form onSubmit={form.submit} className="flex flex-col gap-4" noValidate>
      <TextField label={t('login.user')} autoComplete="username" autoCapitalize="off" spellCheck={false} value={form.values.user} onChange={(v) => form.set('user', v)} error={form.error('user')} />
      <TextField label={t('login.password')} type="password" autoComplete="current-password" value={form.values.password} onChange={(v) => form.set('password', v)} error={form.error('password')} />
      <FormProblem text={form.problem} />
      <Button kind="primary" type="submit" busy={form.busy} className="h-9">{t('login.signIn')}</Button>
    </form>
  )
}
