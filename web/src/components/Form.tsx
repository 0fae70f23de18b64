import { CircleAlert, LoaderCircle } from 'lucide-react'
import { useCallback, useId, useState, type ButtonHTMLAttributes, type InputHTMLAttributes, type ReactNode } from 'react'
import { Problem } from '@/api/problem'
import { useMaybeT, useT } from '@/i18n'
import { cn } from '@/lib/cn'
import { usePrefs } from '@/lib/prefs'
import { useProblemText } from './Problem'

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { kind?: 'primary' | 'danger' | 'danger-line' | 'plain' | 'quiet'; busy?: boolean; small?: boolean }

export function Button({ kind = 'plain', busy, small, children, className, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      className={cn('btn', kind === 'primary' && 'btn-primary', kind === 'danger' && 'btn-danger-solid', kind === 'danger-line' && 'btn-danger', kind === 'quiet' && 'btn-quiet', small && 'btn-sm', className)}
    >
      {busy && <LoaderCircle aria-hidden className="size-3.5 animate-spin" />}
      {children}
    </button>
  )
}

export interface FormState<V> {
  values: V
  set: <K extends keyof V>(key: K, value: V[K]) => void
  /** The message of a field, of our own check or of the server. */
  error: (name: string) => string | undefined
  /** What the server said that belongs to no field shown. */
  problem: string | undefined
  busy: boolean
  dirty: boolean
  submit: (e?: { preventDefault(): void }) => void
}

/** A form's values, its check before sending, and the server's complaints sorted to their fields. check answers messages
 *  by field name. Field names are those of the request body, so that the server's answer finds its field. */
export function useForm<V extends object>(initial: V, send: (v: V) => Promise<unknown>, check?: (v: V) => Partial<Record<keyof V & string, string | undefined>>): FormState<V> {
  const maybe = useMaybeT()
  const text = useProblemText()
  const { lang } = usePrefs()
  const [values, setValues] = useState(initial)
  const [errors, setErrors] = useState<Record<string, string | undefined>>({})
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const set = useCallback(<K extends keyof V>(key: K, value: V[K]) => {
    setValues((v) => ({ ...v, [key]: value }))
    setErrors((e) => ({ ...e, [key as string]: undefined }))
  }, [])
  const submit = (e?: { preventDefault(): void }) => {
    e?.preventDefault()
    if (busy) return
    const found = Object.fromEntries(Object.entries(check?.(values) ?? {}).filter(([, m]) => m)) as Record<string, string>
    setErrors(found)
    setProblem(undefined)
    if (Object.keys(found).length > 0) return focusFirstError()
    setBusy(true)
    send(values).then(
      () => setBusy(false),
      (err: unknown) => {
        setBusy(false)
        const fields = err instanceof Problem ? (err.body.fields ?? []) : []
        const mine = fields.filter((x) => x.name in values)
        setErrors(Object.fromEntries(mine.map((x) => [x.name, lang === 'en' ? (x.detail ?? maybe(`errors.${x.code}`) ?? x.code) : (maybe(`errors.${x.code}`) ?? x.detail ?? x.code)])))
        if (mine.length === 0) setProblem([text(err), ...fields.map((x) => `${x.name}: ${x.detail ?? x.code}`)].join(' '))
        else focusFirstError()
      },
    )
  }
  return { values, set, error: (name) => errors[name], problem, busy, dirty: JSON.stringify(values) !== JSON.stringify(initial), submit }
}

function focusFirstError() {
  setTimeout(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), 0)
}

/** Label, hint and error around a control; the control gets what ties it to them. */
export function Field({ label, hint, error, children, className }: {
  label: ReactNode
  hint?: ReactNode
  error?: string
  children: (a: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ReactNode
  className?: string
}) {
  const id = useId()
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined
  return (
    <div className={cn('flex min-w-0 flex-col gap-1', className)}>
      <label htmlFor={id} className="font-medium">{label}</label>
      {children({ id, 'aria-describedby': described, 'aria-invalid': error ? true : undefined })}
      {error && (
        <span id={`${id}-error`} className="flex items-start gap-1 text-xs text-bad">
          <CircleAlert aria-hidden className="mt-0.5 size-3 shrink-0" />
          {error}
        </span>
      )}
      {hint && <span id={`${id}-hint`} className="text-xs text-ink-3">{hint}</span>}
    </div>
  )
}

type FieldOf = { label: ReactNode; hint?: ReactNode; error?: string; className?: string }

export function TextField({ label, hint, error, className, mono, value, onChange, ...rest }: FieldOf & Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value'> & { value: string; onChange: (v: string) => void; mono?: boolean }) {
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {(a) => <input {...a} {...rest} className={cn('input', mono && 'name')} value={value} onChange={(e) => onChange(e.target.value)} />}
    </Field>
  )
}

/** Whole numbers. The text stays as typed; NaN is what does not read as a number, and the check says so. */
export function NumberField({ value, onChange, min, max, ...rest }: FieldOf & { value: number; onChange: (v: number) => void; min?: number; max?: number; disabled?: boolean }) {
  const { label, hint, error, className, disabled } = rest
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {(a) => <input {...a} type="number" inputMode="numeric" disabled={disabled} min={min} max={max} step={1} className="input" value={Number.isNaN(value) ? '' : value} onChange={(e) => onChange(e.target.valueAsNumber)} />}
    </Field>
  )
}

export function TextArea({ label, hint, error, className, value, onChange, rows = 6, mono = true }: FieldOf & { value: string; onChange: (v: string) => void; rows?: number; mono?: boolean }) {
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {(a) => <textarea {...a} rows={rows} spellCheck={false} className={cn('input', mono && 'name')} value={value} onChange={(e) => onChange(e.target.value)} />}
    </Field>
  )
}

export function SelectField({ label, hint, error, className, value, onChange, options, disabled }: FieldOf & { value: string; onChange: (v: string) => void; options: { value: string; label: string }[]; disabled?: boolean }) {
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {(a) => (
        <select {...a} disabled={disabled} className="input" value={value} onChange={(e) => onChange(e.target.value)}>
          {options.map((o) => (
            <option key={o.value} value={o.value}>{o.label}</option>
          ))}
        </select>
      )}
    </Field>
  )
}

export function CheckField({ label, hint, checked, onChange, disabled }: { label: ReactNode; hint?: ReactNode; checked: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  const id = useId()
  return (
    <div className="flex items-start gap-2">
      <input id={id} type="checkbox" className="mt-[3px] accent-(--accent)" checked={checked} disabled={disabled} aria-describedby={hint ? `${id}-hint` : undefined} onChange={(e) => onChange(e.target.checked)} />
      <span>
        <label htmlFor={id} className="font-medium">{label}</label>
        {hint && <span id={`${id}-hint`} className="block text-xs text-ink-3">{hint}</span>}
      </span>
    </div>
  )
}

/** A select without a visible label, for tool bars. */
export function Pick({ label, value, onChange, options }: { label: string; value: string; onChange: (v: string) => void; options: { value: string; label: string }[] }) {
  return (
    <select aria-label={label} title={label} className="input w-auto max-w-56" value={value} onChange={(e) => onChange(e.target.value)}>
      {options.map((o) => (
        <option key={o.value} value={o.value}>{o.label}</option>
      ))}
    </select>
  )
}

/** Where a form says what fits no field. */
export function FormProblem({ text }: { text: string | undefined }) {
  return text ? <div role="alert" className="rounded bg-bad-soft px-3 py-2 text-bad">{text}</div> : null
}

/** The buttons below a form. */
export function FormButtons({ form, submit, onCancel }: { form: FormState<never> | { busy: boolean }; submit: string; onCancel?: () => void }) {
  const t = useT()
  return (
    <div className="flex justify-end gap-2">
      {onCancel && <Button onClick={onCancel} disabled={form.busy}>{t('common.cancel')}</Button>}
      <Button kind="primary" type="submit" busy={form.busy}>{submit}</Button>
    </div>
  )
}
