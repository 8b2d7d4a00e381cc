/**
 * The text of Kafka's checkpoint files, around what their entries mean:
 *
 *   0\n              version
 *   2\n              number of entries
 *   orders 0 1013\n  one entry a line, fields parted by one space
 *   orders 1 7\n
 *
 * Pure. Damage shows as undefined, never as an exception: what to do without a checkpoint is the
 * caller's decision. A last line without its end counts as damage, for a number may be cut short.
 */

const VERSION = '0'

/** The lines of a checkpoint file, one per entry. */
export function formatCheckpointLines(entries: readonly string[]): Buffer {
  return Buffer.from([VERSION, String(entries.length), ...entries, ''].join('\n'))
}

/** The entries' lines; undefined when it is no version 0 checkpoint, or its count is wrong. */
export function parseCheckpointLines(bytes: Buffer): readonly string[] | undefined {
  const [version, count, ...entries] = bytes.toString().split('\n')
  const afterLastLine = entries.pop()
  if (version !== VERSION || count === undefined || afterLastLine !== '') return undefined
  return parseCount(count) === entries.length ? entries : undefined
}

/** A number >= 0 in plain decimal digits that is a safe integer; undefined for anything else. */
export function parseCount(
  text: string,
  max: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const value = Number(text)
  return value <= max ? value : undefined
}
