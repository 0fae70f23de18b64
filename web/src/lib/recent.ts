import { useEffect, useState } from 'react'

const TICK = 10_000

/** The last span ms, moving on every 10 s while the page is visible; for queries whose key must not change each time
 *  the page draws. */
export function useRecent(span: number): { from: number; to: number } {
  const [to, setTo] = useState(() => Math.floor(Date.now() / TICK) * TICK)
  useEffect(() => {
    const id = setInterval(() => {
      if (!document.hidden) setTo(Math.floor(Date.now() / TICK) * TICK)
    }, TICK)
    return () => clearInterval(id)
  }, [])
  return { from: to - span, to }
}
