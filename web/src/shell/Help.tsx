import { useMayEach } from '@/api/session'
import { Dialog } from '@/components/Dialog'
import { useT } from '@/i18n'
import { nav } from '@/nav'

export default function Help({ onClose }: { onClose: () => void }) {
  const t = useT()
  const may = useMayEach()
  const general: [string[], string][] = [
    [['Ctrl', 'K'], t('shell.keyPalette')],
    [['/'], t('shell.keyFilter')],
    [['?'], t('shell.keyHelp')],
    [['Esc'], t('shell.keyEsc')],
  ]
  const jumps = nav.flatMap((s) => s.items).filter(may).map((i): [string[], string] => [['g', i.jump], t(i.label)])
  return (
    <Dialog title={t('shell.help')} onClose={onClose} width="max-w-2xl">
      <div className="grid gap-x-10 gap-y-4 sm:grid-cols-2">
        <Keys title={t('shell.keysGeneral')} rows={general} />
        <Keys title={t('shell.keysJumps')} rows={jumps} />
      </div>
    </Dialog>
  )
}

function Keys({ title, rows }: { title: string; rows: [string[], string][] }) {
  return (
    <div>
      <div className="eyebrow mb-1">{title}</div>
      <dl className="m-0">
        {rows.map(([keys, what]) => (
          <div key={what} className="flex items-center justify-between gap-4 border-b border-line/70 py-1">
            <dt>{what}</dt>
            <dd className="m-0 flex gap-1">
              {keys.map((k) => (
                <kbd key={k} className="min-w-6 rounded border border-line-strong bg-sunken px-1.5 text-center font-mono text-2xs leading-5">{k}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
}
