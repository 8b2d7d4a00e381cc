/**
 * The files of the segment in test/vectors/segment.json, as Kafka wrote them.
 */
import { fromHex, loadVectors } from './vectors.ts'

interface SegmentFile {
  readonly baseOffset: number
  readonly files: Readonly<Record<string, string>>
  readonly rebuiltFromLog: Readonly<Record<string, string | number>>
  readonly offsetLookups: readonly {
    readonly offset: number
    readonly indexLookup: readonly [offset: number, position: number]
  }[]
  readonly timestampLookups: readonly {
    readonly timestamp: string
    readonly timeindexLookup: readonly [timestamp: string, offset: number]
  }[]
}

/** All that the vector says. */
export const segmentVector: SegmentFile = loadVectors<SegmentFile>('segment.json')

/** Bytes of the files whose name ends so: as first written, and as recovery rebuilt them. */
export function segmentFiles(suffix: string): readonly Buffer[] {
  const { files, rebuiltFromLog } = segmentVector
  return [files, rebuiltFromLog].flatMap((group) =>
    Object.entries(group)
      .filter(([name]) => name.endsWith(suffix))
      .map(([, hex]) => fromHex(String(hex))),
  )
}

/** A view of all of `bytes`. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
