/**
 * Who may use what a log makes: the modes that its files and directories are made with.
 *
 * Only their owner by default: a log holds whatever its application was sent. The process's umask
 * takes away from them, as always; what exists keeps the mode it has. Windows knows no modes.
 */

/** Modes as open(2) and mkdir(2) take them. */
export interface FileModes {
  readonly fileMode: number
  readonly directoryMode: number
}

/** The default. */
export const OWNER_ONLY: FileModes = { fileMode: 0o600, directoryMode: 0o700 }
