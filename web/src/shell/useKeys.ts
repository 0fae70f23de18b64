import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { nav } from '@/nav'
import { useClusterOrFirst } from './Sidebar'

/** Whether a key press belongs to what has the focus. */
function typing(e: KeyboardEvent): boolean {
  const el = e.target as HTMLElement | null
  return !!el?.closest?.('input, textarea, select, [contenteditable="true"], [role="menu"]')
}

const CHORD_MS = 1200

/** Ctrl/⌘-K palette, / filter, ? help, g + letter jumps. */
export function useKeys(open: (what: 'palette' | 'help' | null) => void) {
  const navigate = useNavigate()
  const cluster = useClusterOrFirst()
  const chord = useRef(0)
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if ((e.metaKey || e.ctrlKey) && !e.shiftKey && !e.altKey && e.key.toLowerCase() === 'k') {
        e.preventDefault()
        open('palette')
        return
      }
      if (e.metaKey || e.ctrlKey || e.altKey || typing(e) || document.querySelector('dialog[open]')) return
      const waiting = e.timeStamp - chord.current < CHORD_MS && chord.current > 0
      chord.current = 0
      if (waiting) {
        const item = nav.flatMap((s) => s.items).find((i) => i.jump === e.key)
        if (item && (cluster || !item.path.includes('$c'))) {
          e.preventDefault()
          void navigate({ to: item.path as '/', params: { c: cluster } as never })
        }
        return
      }
      if (e.key === 'g') chord.current = e.timeStamp
      else if (e.key === '?') open('help')
      else if (e.key === '/') {
        e.preventDefault()
        const filter = document.querySelector<HTMLInputElement>('[data-filter]')
        if (filter) filter.focus()
        else open('palette')
      }
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [navigate, cluster, open])
}
