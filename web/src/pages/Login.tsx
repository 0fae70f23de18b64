import { useQueryClient } from '@tanstack/react-query'
import { Navigate, useRouter } from '@tanstack/react-router'
import { useEffect, type ReactNode } from 'react'
import { useApi } from '@/api/hooks'
import { ProblemBox } from '@/components/Problem'
import { useT } from '@/i18n'
import { consoleBase, useSearchState } from '@/lib/url'
import { Mark } from '@/shell/Mark'
import { SignIn } from '@/shell/SignIn'

/** The frame of the pages before there is a session: night sky, and one card. */
export function Gate({ title, children }: { title: string; children: ReactNode }) {
  const t = useT()
  useEffect(() => {
    document.title = `${title} · CometMQ`
  }, [title])
  return (
    <main className="night relative grid min-h-dvh place-items-center overflow-hidden bg-night p-4">
      <Sky />
      <div className="relative w-full max-w-[380px]">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-9" />
          <div>
            <div className="text-xl font-semibold tracking-[-0.02em] text-white">
              Comet<span className="font-normal text-night-dim">MQ</span>
            </div>
            <div className="text-xs text-night-dim">{t('login.tagline')}</div>
          </div>
        </div>
        <div className="rounded-lg bg-panel p-6 shadow-(--shadow-pop)">
          <h1 className="mb-4 text-lg font-semibold">{title}</h1>
          {children}
        </div>
      </div>
    </main>
  )
}

/** Three long tails that fade, and a few stars at fixed places. */
function Sky() {
  const stars = Array.from({ length: 70 }, (_, i) => ({ x: (i * 137.5) % 100, y: (i * 61.8 + (i % 7) * 9) % 100, r: i % 9 === 0 ? 1.3 : 0.7, o: 0.15 + (i % 5) * 0.1 }))
  return (
    <svg aria-hidden className="absolute inset-0 size-full">
      <defs>
        <linearGradient id="tail" x1="0" y1="0" x2="1" y2="0.55">
          <stop offset="0" stopColor="#2dd4bf" stopOpacity="0" />
          <stop offset="1" stopColor="#2dd4bf" stopOpacity=".28" />
        </linearGradient>
      </defs>
      {stars.map((s, i) => (
        <circle key={i} cx={`${s.x}%`} cy={`${s.y}%`} r={s.r} fill="#cfe3f5" opacity={s.o} />
      ))}
      <line x1="-5%" y1="2%" x2="88%" y2="76%" stroke="url(#tail)" strokeWidth="2" />
      <line x1="-5%" y1="18%" x2="88%" y2="77%" stroke="url(#tail)" strokeWidth="1.5" />
      <line x1="16%" y1="-5%" x2="88%" y2="75%" stroke="url(#tail)" strokeWidth="1.5" />
      <circle cx="88.4%" cy="76.4%" r="6" fill="#f5b544" opacity=".9" />
    </svg>
  )
}

export default function Login() {
  const t = useT()
  const session = useApi('/session')
  const client = useQueryClient()
  const router = useRouter()
  const { next } = useSearchState()
  const s = session.data
  // Only paths of our own: a link must not lead a fresh session elsewhere.
  const to = next?.startsWith('/') && !next.startsWith('//') ? next : '/'
  const enter = () => router.history.push(consoleBase().replace(/\/$/, '') + to)
  const inside = s && (s.authenticated || s.open)
  useEffect(() => {
    if (inside) enter()
    // oxlint-disable-next-line react/exhaustive-deps -- once, when the session is known
  }, [inside])
  if (s?.setupRequired && !s.open) return <Navigate to="/setup" />
  return (
    <Gate title={t('login.title')}>
      {session.error && !s ? (
        <ProblemBox error={session.error} onRetry={() => void session.refetch()} />
      ) : (
        <SignIn onDone={(made) => client.setQueryData(['/session', {}, {}], made)} />
      )}
    </Gate>
  )
}
