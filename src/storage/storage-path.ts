/**
 * Paths as the storage drivers take them: relative to the log's directory, '/' between names, ''
 * for the directory itself. Pure: nothing here touches a disk.
 *
 * A path is checked where it enters a driver, so no name read from a damaged or hostile file can
 * lead out of the log's directory: '..', '.', empty names, backslashes and NUL are refused.
 */
import { assert } from '../errors/invariant.ts'

const REFUSED = /[\\\0]|^\/|\/$|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/

/** Throws `InvariantError` unless `path` stays inside the log's directory. */
export function assertStoragePath(path: string): void {
  assert(!REFUSED.test(path), 'path: relative, "/" between names, no "." or ".."')
}

/** The directory that holds `path`; '' for a name at the top. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

/** Where `path` is after `from` became `to`; undefined when it is neither `from` nor below it. */
export function renamedPath(path: string, from: string, to: string): string | undefined {
  if (path === from) return to
  return path.startsWith(`${from}/`) ? to + path.slice(from.length) : undefined
}

/** True for `directory` itself and for everything below it. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`)
}
