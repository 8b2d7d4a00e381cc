/**
 * Where a backup goes to, or a log is restored to, before anything is made there: never into the
 * directory that it is made of.
 */
import { realpathSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { errorCodeOf } from './file-failure.ts'

/** True where `path` is `directory` or lies below it, whatever links lead there. */
export function liesWithin(path: string, directory: string): boolean {
  const way = relative(realPathOf(directory), realPathOf(path))
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way)
}

/** Of what is not there yet, through what is. */
function realPathOf(path: string): string {
  const missing: string[] = []
  for (let known = resolve(path); ; known = dirname(known)) {
    try {
      return join(realpathSync(known), ...missing)
    } catch (error) {
      const isMissing = errorCodeOf(error) === 'ENOENT' || errorCodeOf(error) === 'ENOTDIR'
      if (!isMissing || known === dirname(known)) return resolve(path)
      missing.unshift(known.slice(dirname(known).length).replace(/^[\\/]/, ''))
    }
  }
}
