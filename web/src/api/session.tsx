import { createContext, use, type ReactNode } from 'react'
import { setCSRF } from './client'
import type { S } from './types'

export type Session = S['Session']
export type Role = S['Role']
const ORDER: Role[] = ['viewer', 'reader', 'operator', 'admin']

const Context = createContext<Session | null>(null)

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  setCSRF(session.csrfToken)
  return <Context value={session}>{children}</Context>
}

export function useSession(): Session {
  const s = use(Context)
  if (!s) throw new Error('useSession outside of SessionProvider')
  return s
}

/** Whether the user may do what wants that role. The server decides; this only hides what it would refuse. */
export function useMay(role: Role): boolean {
  return may(useSession(), role)
}

/** The same for a list, of which some want no role. */
export function useMayEach(): (x: { role?: Role }) => boolean {
  const s = useSession()
  return ({ role }) => role === undefined || may(s, role)
}

function may(s: Session, role: Role): boolean {
  if (s.open && !s.role) return true
  return ORDER.indexOf(s.role ?? 'viewer') >= ORDER.indexOf(role)
}
