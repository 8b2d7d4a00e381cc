/**
 * Our own JSON files, whose checksum is put right so that what is below it gets its turn.
 *
 *   metadata         metadata.json, and the same bytes as the previous one behind a bad one
 *   clean-marker     .kafka_cleanshutdown
 *   sealed-json      any JSON: sealed, opened, and the canonical text
 */
import {
  CLEAN_MARKER_FILE,
  readCleanMarker,
  writeCleanMarker,
} from '../../src/storage/clean-marker.ts'
import {
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  type MetadataReading,
  readMetadata,
  writeMetadata,
} from '../../src/storage/metadata-file.ts'
import { completeProcedure } from '../../src/storage/procedure.ts'
import {
  canonicalJson,
  isJsonObject,
  type JsonObject,
  parseJson,
  sealed,
  unsealed,
} from '../../src/storage/sealed-json.ts'
import { type FuzzTarget, promise, promiseEqual, unlessRefused } from '../fuzz-target.ts'
import { driverWith } from './stored-file.ts'

const MAX_INPUT_BYTES = 2_048
const UNSUPPORTED = ['UNSUPPORTED_FORMAT']

/** See the file's header. */
export const jsonTargets: readonly FuzzTarget[] = [
  jsonTarget('metadata', (bytes) => {
    checkMetadata(bytes)
    const resealed = resealedMembers(bytes)
    if (resealed !== undefined) checkMetadata(Buffer.from(JSON.stringify(resealed)))
  }),
  jsonTarget('clean-marker', (bytes) => {
    checkMarker(bytes)
    const resealed = resealedMembers(bytes)
    if (resealed === undefined) return
    checkMarker(Buffer.from(JSON.stringify({ version: 0, streambed: resealed })))
  }),
  jsonTarget('sealed-json', (bytes) => {
    const value = parseJson(bytes.toString())
    const members = unsealed(value)
    if (members !== undefined) {
      promiseEqual(unsealed(sealed(members)), members, 'sealed and opened again')
    }
    if (!isJsonObject(value) || isDeep(value)) return
    const text = canonicalJson(value)
    promise(canonicalJson(parseJson(text)) === text, 'canonical text is canonical')
  }),
]

/** The object in `bytes` with the checksum that it should have; of a marker, what is inside. */
function resealedMembers(bytes: Buffer): JsonObject | undefined {
  const value = parseJson(bytes.toString())
  if (!isJsonObject(value) || isDeep(value)) return undefined
  const inner = value['streambed']
  const { crc: _crc, ...members } = isJsonObject(inner) ? inner : value
  return sealed(members)
}

/** JSON.stringify gives up on what no stack holds; canonicalJson's caller has to as well. */
function isDeep(value: unknown): boolean {
  return JSON.stringify(value).split(/[[{]/).length > 200
}

function checkMetadata(bytes: Buffer): void {
  const current = unlessRefused(UNSUPPORTED, () =>
    readMetadata(driverWith([[METADATA_FILE, bytes]])),
  )
  const bad = Buffer.from('{')
  const files = [[METADATA_FILE, bad] as const, [PREVIOUS_METADATA_FILE, bytes] as const]
  const previous = unlessRefused(UNSUPPORTED, () => readMetadata(driverWith(files)))
  promiseEqual(shown(previous), shown(current), 'the previous one says the same')
  if (current?.kind !== 'found') return
  const driver = driverWith([[METADATA_FILE, bytes]])
  completeProcedure(writeMetadata(driver, current.metadata))
  promiseEqual(shown(readMetadata(driver)), shown(current), 'written and read again')
}

function shown(reading: MetadataReading | undefined): unknown {
  if (reading?.kind !== 'found') return reading
  const { topics, others, deleting, ...rest } = reading.metadata
  return {
    ...rest,
    writable: reading.writable,
    deleting: deleting.map((topic) => ({ ...topic, others: [...(topic.others ?? [])] })),
    topics: [...topics].map(([name, topic]) => [
      name,
      { ...topic, others: [...(topic.others ?? [])] },
    ]),
    others: [...others],
  }
}

function checkMarker(bytes: Buffer): void {
  const marker = readCleanMarker(driverWith([[CLEAN_MARKER_FILE, bytes]]))
  promise(marker !== undefined, 'a marker that is there is seen')
  if (marker === 'kafka') return
  const driver = driverWith([])
  completeProcedure(writeCleanMarker(driver, marker))
  promiseEqual(readCleanMarker(driver), marker, 'written and read again')
}

function jsonTarget(name: string, run: (bytes: Buffer) => void): FuzzTarget {
  const allocationLimit = (input: Buffer): number => 128 * input.length + 1_048_576
  return { name, maxInputBytes: MAX_INPUT_BYTES, allocationLimit, run }
}
