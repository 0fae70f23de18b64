import { createRootRoute, createRoute, lazyRouteComponent, Outlet, type RouteComponent } from '@tanstack/react-router'
import { needMessages, type Area } from './i18n'
import { NotFound, PageError } from './shell/Fallbacks'
import { Shell } from './shell/Shell'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell, notFoundComponent: NotFound })

type Load = () => Promise<{ default: RouteComponent }>
/** A page inside of the shell; its code is a chunk of its own, its default export the component. areas are the messages
 *  that it uses besides those of every page. */
const page = (path: string, load: Load, ...areas: Area[]) =>
  createRoute({ getParentRoute: () => shell, path, component: lazyRouteComponent(() => withMessages(load, areas)), errorComponent: PageError })
const withMessages: (load: Load, areas: Area[]) => ReturnType<Load> = async (load, areas) => (await Promise.all([load(), needMessages(areas)]))[0]
/** A page without the shell. */
const bare = (path: string, load: Load) => createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load), errorComponent: PageError })

export const routes = root.addChildren([
  bare('/login', () => import('./pages/Login')),
  bare('/setup', () => import('./pages/Setup')),
  shell.addChildren([
    page('/', () => import('./pages/Clusters'), 'clusters'),
    page('/c/$c', () => import('./pages/Overview'), 'alerts', 'overview'),
    page('/c/$c/brokers', () => import('./pages/Brokers'), 'brokers'),
    page('/c/$c/brokers/$name/$id', () => import('./pages/Broker'), 'brokers', 'config', 'groups', 'overview'),
    page('/c/$c/nameservers', () => import('./pages/NameServers'), 'brokers', 'config', 'nameservers'),
    page('/c/$c/controllers', () => import('./pages/Controllers'), 'brokers', 'controllers'),
    page('/c/$c/topics', () => import('./pages/Topics'), 'topics'),
    page('/c/$c/topics/$t', () => import('./pages/Topic'), 'brokers', 'groups', 'topics'),
    page('/c/$c/groups', () => import('./pages/Groups'), 'groups'),
    page('/c/$c/groups/$g', () => import('./pages/Group'), 'brokers', 'dlq', 'groups'),
    page('/c/$c/groups/$g/reset', () => import('./pages/ResetOffsets'), 'reset'),
    page('/c/$c/topics/$t/messages', () => import('./pages/TopicMessages'), 'body', 'jobs', 'messages', 'topics'),
    page('/c/$c/messages', () => import('./pages/Messages'), 'body', 'messages'),
    page('/c/$c/messages/$m', () => import('./pages/Message'), 'body', 'messages', 'trace'),
    page('/c/$c/dlq', () => import('./pages/DeadLetters'), 'dlq'),
    page('/c/$c/dlq/$g', () => import('./pages/DeadLetterGroup'), 'body', 'dlq', 'jobs', 'messages'),
    page('/c/$c/clients', () => import('./pages/Clients'), 'clients', 'groups'),
    page('/c/$c/trace', () => import('./pages/Trace'), 'messages', 'trace'),
    page('/c/$c/transactions', () => import('./pages/Transactions'), 'body', 'messages', 'transactions'),
    page('/c/$c/delayed', () => import('./pages/Delayed'), 'brokers', 'delayed'),
    page('/c/$c/acl', () => import('./pages/Acl'), 'acl'),
    page('/alerts', () => import('./pages/Alerts'), 'alerts'),
    page('/audit', () => import('./pages/Audit'), 'audit', 'config'),
    page('/jobs', () => import('./pages/Jobs'), 'jobs'),
    page('/settings', () => import('./pages/Settings'), 'groups', 'settings'),
  ]),
])
