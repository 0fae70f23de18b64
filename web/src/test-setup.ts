// The little of a browser that modules touch when they are loaded. Tests of what is drawn run in a real one.
import { vi } from 'vitest'

vi.stubGlobal('navigator', { languages: ['en-US'], platform: 'Linux' })
vi.stubGlobal('document', { querySelector: () => null, documentElement: { dataset: {} } })
vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => {} })
