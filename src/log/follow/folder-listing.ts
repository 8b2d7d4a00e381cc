/**
 * FolderListing: which .log files are the log's in a partition's folder that another process may
 * change at any time.
 *
 * No call shows all of a folder at one moment. So it is looked at twice, and what is the same both
 * times was there in between: names, and the files that have them. Reads only.
 *   I1  what is found is what the log consisted of at some moment between the two looks
 *   I2  while segments are swapped nothing is found, but for whoever has no older list to go by
 */
import { parseSegmentFileName } from '../../format/segment-name.ts'
import { readWholeFile } from '../../storage/checkpoint-file.ts'
import { isMissingFile } from '../../storage/file-failure.ts'
import { parsePartitionMetadata } from '../../storage/partition-metadata.ts'
import { completeProcedure } from '../../storage/procedure.ts'
import { segmentPath } from '../../storage/segment-indexes.ts'
import { type NamedSegment, planSwaps, type SwapFolder } from '../swap-plan.ts'

const ATTEMPTS = 8
const PARTITION_METADATA = 'partition.metadata'

/** A .log as it was found. */
export interface ListedLog extends NamedSegment {
  readonly fileId: string
  /** Then, and of one that was sealed for good. */
  readonly sizeBytes: number
}

/** What is done about a swap of segments that is under way. */
export type SwapStance =
  /** The list that is known stays: its files are open. */
  | 'wait'
  /** What the swap will have made of the folder counts: it is all that can be read. */
  | 'plan'

/**
 * The .log files of the log in `folder`, by base offset, taken into use by `take` between the two
 * looks; undefined where the folder did not come to rest. Where `take` gets files that turn out to
 * be gone, or not to be the log's, it is called again with others.
 * @throws {LogError} IO; with cause ENOENT where the folder is gone.
 */
export function listLogs<T>(
  folder: SwapFolder,
  stance: SwapStance,
  take: (logs: readonly ListedLog[]) => Taken<T>,
): T | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = look(folder, stance)
    if (found === undefined) continue
    const taken = unlessGone(folder, () => take(found))
    if (taken === undefined) continue
    if (areSame(found, look(folder, stance))) return taken.keep()
    taken.letGo()
  }
  return undefined
}

/** What was made of files that were found. */
export interface Taken<T> {
  /** They are the log's. */
  keep(): T
  /** They are not. */
  letGo(): void
}

/** Whether the folder is, as far as it says, that of the topic. */
export function isFolderOf(folder: Pick<SwapFolder, 'driver' | 'directory'>, id: string): boolean {
  const bytes = readWholeFile(folder.driver, `${folder.directory}/${PARTITION_METADATA}`)
  const found = bytes instanceof Buffer ? parsePartitionMetadata(bytes) : undefined
  return found === undefined || found === id
}

/** Undefined where something changed meanwhile, or a swap is waited for. */
function look(folder: SwapFolder, stance: SwapStance): readonly ListedLog[] | undefined {
  return unlessGone(folder, () => lookOnce(folder, stance))
}

/** What `read` returns; undefined where a file was gone that had been there. */
function unlessGone<T>(folder: SwapFolder, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const isFolderThere = folder.driver.status(folder.directory) !== undefined
    if (!isMissingFile(error) || !isFolderThere) throw error
    return undefined
  }
}

function lookOnce(folder: SwapFolder, stance: SwapStance): readonly ListedLog[] | undefined {
  const { driver, directory } = folder
  const names = driver.list(directory)
  const isSwapping = names.some((name) => name.endsWith('.swap'))
  if (isSwapping && stance === 'wait') return undefined
  const segments = isSwapping
    ? completeProcedure(planSwaps(folder, names)).segments
    : plainSegments(names)
  const logs: ListedLog[] = []
  for (const { baseOffset, ending } of segments) {
    const place = { driver, directory, baseOffset }
    const path = segmentPath(ending === '' ? place : { ...place, suffix: ending }, '.log')
    const status = driver.status(path)
    if (status?.kind !== 'file') return undefined
    const { fileId, sizeBytes } = status
    logs.push({ baseOffset, ending, fileId, sizeBytes })
  }
  return logs
}

function plainSegments(names: readonly string[]): readonly NamedSegment[] {
  const segments: NamedSegment[] = []
  for (const name of names) {
    const parsed = parseSegmentFileName(name)
    if (parsed?.suffix === '.log') segments.push({ baseOffset: parsed.baseOffset, ending: '' })
  }
  return segments.sort((a, b) => a.baseOffset - b.baseOffset)
}

function areSame(before: readonly ListedLog[], after: readonly ListedLog[] | undefined): boolean {
  if (after?.length !== before.length) return false
  return before.every(({ baseOffset, ending, fileId }, index) => {
    const other = after[index]
    return other?.baseOffset === baseOffset && other.ending === ending && other.fileId === fileId
  })
}
