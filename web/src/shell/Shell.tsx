import { useQueryClient } from '@tanstack/react-query'
import { Navigate, Outlet, useNavigate, useRouter } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { whenSessionEnds } from '@/api/client'
import { useApi } from '@/api/hooks'
import { SessionProvider } from '@/api/session'
import { Dialog } from '@/components/Dialog'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { usePrefs } from '@/lib/prefs'
import { Header } from './Header'
import { SignIn } from './SignIn'
import { Sidebar } from './Sidebar'
import { useKeys } from './useKeys'

const Palette = lazy(() => import('./Palette'))
const Help = lazy(() => import('./Help'))

/** Around every page: side bar, header, palette, help. Asks who is signed in before it draws anything. */
export function Shell() {
  const t = useT()
  const { sidebar } = usePrefs()
  const session = useApi('/session', { every: 60_000 })
  const client = useQueryClient()
  const [open, setOpen] = useState<'palette' | 'help' | null>(null)
  const [menu, setMenu] = useState(false)
  const [ended, setEnded] = useState(false)
  useKeys(setOpen)
  useEffect(() => whenSessionEnds(() => setEnded(true)), [])

  const s = session.data
  const [was, setWas] = useState(false)
  if (s?.authenticated && !was) setWas(true)
  if (session.error && !s) {
    return (
      <div className="mx-auto max-w-xl p-8">
        <ProblemBox error={session.error} onRetry={() => void session.refetch()} />
      </div>
    )
  }
  if (!s) return null
  if (s.setupRequired && !s.open) return <Navigate to="/setup" />
  // A session that ends while a page is open asks for the password above the page, whose forms stay as they are.
  if (!s.authenticated && !s.open && !was) return <ToLogin />

  return (
    <SessionProvider session={s}>
      <a href="#main" className="btn btn-primary fixed top-2 left-2 z-50 -translate-y-20 focus:translate-y-0">{t('shell.skip')}</a>
      <div className="flex min-h-dvh">
        <Sidebar narrow={sidebar === 'narrow'} open={menu} onClose={() => setMenu(false)} />
        <div className={cn('flex min-w-0 flex-1 flex-col', sidebar === 'narrow' ? 'lg:pl-14' : 'lg:pl-54')}>
          <Header onMenu={() => setMenu(true)} onSearch={() => setOpen('palette')} onHelp={() => setOpen('help')} />
          <main id="main" tabIndex={-1} className="flex-1 outline-none">
            <Outlet />
          </main>
        </div>
      </div>
      <Suspense fallback={null}>
        {open === 'palette' && <Palette onClose={() => setOpen(null)} onHelp={() => setOpen('help')} />}
        {open === 'help' && <Help onClose={() => setOpen(null)} />}
      </Suspense>
      {was && (ended || !s.authenticated) && !s.open && (
        <Dialog title={t('login.again')} locked onClose={() => {}} width="max-w-sm">
          <p className="mb-4 text-ink-2">{t('login.againHint')}</p>
          <SignIn
            user={s.user}
            onDone={(next) => {
              client.setQueryData(['/session', {}, {}], next)
              setEnded(false)
              void client.invalidateQueries()
            }}
          />
        </Dialog>
      )}
    </SessionProvider>
  )
}

/** Goes to the login page, once: the location changes before this page is gone, and must not become its own next. */
function ToLogin() {
  const navigate = useNavigate()
  const router = useRouter()
  const [next] = useState(() => router.state.location.href)
  useEffect(() => {
    void navigate({ to: '/login', search: { next } as never, replace: true })
  }, [navigate, next])
  return null
}
