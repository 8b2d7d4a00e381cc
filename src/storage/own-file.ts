/**
 * Opening the files of the lock, which lie in the log's directory and are used before there is a
 * driver: never through a symbolic link, and never waiting for a pipe that lies in their place.
 */
import { constants, openSync } from 'node:fs'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants
// Windows has neither of the two.
// `as`: reading a name that is not there gives undefined, which is what Partial says.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>

type HowToOpen = 'read' | 'write' | 'create'

const FLAGS: Readonly<Record<HowToOpen, number>> = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT,
}

/** A descriptor of `file`; 'create' makes it where it is missing, with `fileMode`. */
export function openOwnFile(file: string, how: HowToOpen, fileMode?: number): number {
  return openSync(file, FLAGS[how] | O_NOFOLLOW | O_NONBLOCK, fileMode)
}

/** A descriptor of `file`, which must not exist; a link in its place is there, even to nowhere. */
export function createOwnFile(file: string, fileMode: number): number {
  return openSync(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, fileMode)
}
