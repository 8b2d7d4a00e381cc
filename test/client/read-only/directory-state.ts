/** What tests compare to see that nobody changed a directory. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Names, sizes, times and identities of everything below a directory. */
export function stateOf(directory: string): Readonly<Record<string, unknown>> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  const entries = names.map((name): [string, unknown] => {
    const { size, mtimeMs, ctimeMs, ino } = statSync(join(directory, name))
    return [name, { size, mtimeMs, ctimeMs, ino }]
  })
  return Object.fromEntries(entries)
}
