import type { S } from '@/api/types'
import { toast } from '@/components/Toasts'

/** A change on several brokers is a success only when all of them have taken it: the others are named. */
export function tellSteps(r: S['ChangeResult'], done: string) {
  const failed = [...r.steps.flatMap((s) => (s.error ? [s.error] : [])), ...(r.errors ?? [])]
  if (failed.length === 0) toast('ok', done)
  else for (const e of failed.slice(0, 4)) toast('bad', `${e.node}: ${e.detail || e.code}`)
}
