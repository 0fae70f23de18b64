import { QueryClientProvider } from '@tanstack/react-query'
import { createRouter, RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { newQueryClient } from './api/hooks'
import { Toasts } from './components/Toasts'
import { loadMessages, Messages } from './i18n'
import { applyPrefs, followSystem, prefs } from './lib/prefs'
import { consoleBase, parseSearch, stringifySearch } from './lib/url'
import { routes } from './routes'
import './styles.css'

applyPrefs()
followSystem()
const router = createRouter({
  routeTree: routes,
  basepath: consoleBase(),
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  scrollRestoration: true,
})

void loadMessages(prefs().lang).then(() =>
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <Messages>
        <QueryClientProvider client={newQueryClient()}>
          <RouterProvider router={router} />
          <Toasts />
        </QueryClientProvider>
      </Messages>
    </StrictMode>,
  ),
)
