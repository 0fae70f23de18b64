import { createRootRoute, createRoute, lazyRouteComponent, Outlet, type RouteComponent } from '@tanstack/react-router'
import { NotFound, PageError } from './shell/Fallbacks'
import { Shell } from './shell/Shell'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell, notFoundComponent: NotFound })

type Load = () => Promise<{ default: RouteComponent }>
/** A page inside of the shell; its code is a chunk of its own, its default export the component. */
const page = (path: string, load: Load) => createRoute({ getParentRoute: () => shell, path, component: lazyRouteComponent(load), errorComponent: PageError })
/** A page without the shell. */
const bare = (path: string, load: Load) => createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load), errorComponent: PageError })

export const routes = root.addChildren([
  bare('/login', () => import('./pages/Login')),
  bare('/setup', () => import('./pages/Setup')),
  shell.addChildren([
    page('/', () => import('./pages/Clusters')),
    page('/c/$c', () => import('./pages/Overview')),
    page('/c/$c/brokers', () => import('./pages/Brokers')),
    page('/c/$c/brokers/$name/$id', () => import('./pages/Broker')),
    page('/c/$c/nameservers', () => import('./pages/NameServers')),
    page('/c/$c/controllers', () => import('./pages/Controllers')),
    page('/c/$c/topics', () => import('./pages/Topics')),
    page('/c/$c/topics/$t', () => import('./pages/Topic')),
    page('/c/$c/groups', () => import('./pages/Groups')),
    page('/c/$c/groups/$g', () => import('./pages/Group')),
    page('/c/$c/groups/$g/reset', () => import('./pages/ResetOffsets')),
    page('/c/$c/topics/$t/messages', () => import('./pages/TopicMessages')),
    page('/c/$c/messages', () => import('./pages/Messages')),
    page('/c/$c/messages/$m', () => import('./pages/Message')),
    page('/c/$c/dlq', () => import('./pages/DeadLetters')),
    page('/c/$c/dlq/$g', () => import('./pages/DeadLetterGroup')),
    page('/c/$c/clients', () => import('./pages/Clients')),
    page('/c/$c/trace', () => import('./pages/Trace')),
    page('/c/$c/transactions', () => import('./pages/Transactions')),
    page('/c/$c/delayed', () => import('./pages/Delayed')),
    page('/c/$c/acl', () => import('./pages/Acl')),
    page('/alerts', () => import('./pages/Alerts')),
    page('/audit', () => import('./pages/Audit')),
    page('/jobs', () => import('./pages/Jobs')),
    page('/settings', () => import('./pages/Settings')),
  ]),
])
