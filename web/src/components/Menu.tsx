import { Check } from 'lucide-react'
import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

/** A button that opens a menu. label is read out, and shown on hover when trigger is only an icon. */
export function Menu({ label, trigger, children, className, align = 'end' }: { label: string; trigger: ReactNode; children: ReactNode; className?: string; align?: 'start' | 'end' }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger aria-label={label} title={label} className={className ?? 'btn btn-icon btn-quiet'}>
        {trigger}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align={align} sideOffset={4} collisionPadding={8} className="menu max-h-[70vh] overflow-y-auto">
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

export function MenuItem({ children, onSelect, danger, disabled }: { children: ReactNode; onSelect: () => void; danger?: boolean; disabled?: boolean }) {
  return (
    <DropdownMenu.Item className={cn('menu-item', danger && 'text-bad')} onSelect={onSelect} disabled={disabled}>
      {children}
    </DropdownMenu.Item>
  )
}

/** Stays open: several can be changed at once. */
export function CheckItem({ children, checked, onChange }: { children: ReactNode; checked: boolean; onChange: (on: boolean) => void }) {
  return (
    <DropdownMenu.CheckboxItem className="menu-item" checked={checked} onCheckedChange={onChange} onSelect={(e) => e.preventDefault()}>
      <span className="w-4">{checked && <Check aria-hidden className="size-3.5 text-accent" />}</span>
      {children}
    </DropdownMenu.CheckboxItem>
  )
}

/** One of several. */
export function RadioItems({ value, onChange, items, label }: { value: string; onChange: (v: string) => void; items: { value: string; label: ReactNode }[]; label?: string }) {
  return (
    <DropdownMenu.RadioGroup value={value} onValueChange={onChange}>
      {label && <DropdownMenu.Label className="eyebrow px-2 pt-2 pb-1">{label}</DropdownMenu.Label>}
      {items.map((i) => (
        <DropdownMenu.RadioItem key={i.value} value={i.value} className="menu-item">
          <span className="w-4">{i.value === value && <Check aria-hidden className="size-3.5 text-accent" />}</span>
          {i.label}
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  )
}

export function MenuLine() {
  return <DropdownMenu.Separator className="my-1 border-t" />
}
