import { AlarmClock, ArrowLeftRight, Bell, Boxes, Gauge, ListTodo, MailSearch, MailX, MonitorSmartphone, Network, ScrollText, Server, Settings, ShieldCheck, Signpost, Users, Waypoints } from 'lucide-react'
import type { Role } from './api/session'
import type { Key } from './i18n'

export interface NavItem {
  /** $c is the cluster. */
  path: string
  label: Key
  icon: typeof Gauge
  /** Second key of the jump: g t. */
  jump: string
  /** Who may see it at all; absent: everybody. */
  role?: Role
}

/** The side bar, the palette and the jumps are made from this. Each path is a route of routes.tsx. */
export const nav: { label: Key; items: NavItem[] }[] = [
  {
    label: 'nav.watch',
    items: [
      { path: '/c/$c', label: 'nav.overview', icon: Gauge, jump: 'o' },
      { path: '/alerts', label: 'nav.alerts', icon: Bell, jump: 'a' },
    ],
  },
  {
    label: 'nav.messaging',
    items: [
      { path: '/c/$c/topics', label: 'nav.topics', icon: Boxes, jump: 't' },
      { path: '/c/$c/groups', label: 'nav.groups', icon: Users, jump: 'g' },
      { path: '/c/$c/messages', label: 'nav.messages', icon: MailSearch, jump: 'm' },
      { path: '/c/$c/dlq', label: 'nav.dlq', icon: MailX, jump: 'd' },
      { path: '/c/$c/clients', label: 'nav.clients', icon: MonitorSmartphone, jump: 'c' },
      { path: '/c/$c/transactions', label: 'nav.transactions', icon: ArrowLeftRight, jump: 'x' },
      { path: '/c/$c/delayed', label: 'nav.delayed', icon: AlarmClock, jump: 'l' },
      { path: '/c/$c/trace', label: 'nav.trace', icon: Waypoints, jump: 'e' },
    ],
  },
  {
    label: 'nav.servers',
    items: [
      { path: '/c/$c/brokers', label: 'nav.brokers', icon: Server, jump: 'b' },
      { path: '/c/$c/nameservers', label: 'nav.nameservers', icon: Signpost, jump: 'n' },
      { path: '/c/$c/controllers', label: 'nav.controllers', icon: Network, jump: 'r' },
      { path: '/c/$c/acl', label: 'nav.acl', icon: ShieldCheck, jump: 'p', role: 'admin' },
    ],
  },
  {
    label: 'nav.console',
    items: [
      { path: '/audit', label: 'nav.audit', icon: ScrollText, jump: 'u', role: 'admin' },
      { path: '/jobs', label: 'nav.jobs', icon: ListTodo, jump: 'j' },
      { path: '/settings', label: 'nav.settings', icon: Settings, jump: 's' },
    ],
  },
]
