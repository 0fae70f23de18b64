/** The comet: its head and three tails. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg aria-hidden viewBox="0 0 32 32" className={className}>
      <path d="M3 4.5 19 15M2.5 13 15 18.6M12 2.5l8.6 9.4" stroke="#2dd4bf" strokeWidth="2.2" strokeLinecap="round" opacity=".75" />
      <circle cx="22" cy="21" r="6.6" fill="#f5b544" />
    </svg>
  )
}
