/**
 * Changing stored files behind the log's back, between a stop and the next open.
 */
import { segmentFileName, type SegmentSuffix } from '../../src/format/segment-name.ts'
import { readWholeFile } from '../../src/storage/checkpoint-file.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'

/** Path of a file of `t-0`. */
export function segmentFile(baseOffset: number, suffix: SegmentSuffix = '.log'): string {
  return `t-0/${segmentFileName(baseOffset, suffix)}`
}

/** All bytes of a file that is there. */
export function bytesOf(driver: StorageDriver, path: string): Buffer {
  const bytes = readWholeFile(driver, path)
  if (bytes === undefined) throw new Error(`no ${path}`)
  return bytes
}

/** Makes `bytes` what the file holds. */
export function overwrite(driver: StorageDriver, path: string, bytes: Buffer): void {
  const exists = driver.status(path) !== undefined
  const file = driver.openFile(path, exists ? 'write' : 'create')
  file.resize(0)
  file.write(bytes, 0, bytes.length, 0)
  file.close()
}

/** Changes one byte. */
export function flip(driver: StorageDriver, path: string, position: number): void {
  const bytes = bytesOf(driver, path)
  bytes[position] = (bytes[position] ?? 0) ^ 0x55
  overwrite(driver, path, bytes)
}

/** Cuts or extends a file with zeros. */
export function resize(driver: StorageDriver, path: string, sizeBytes: number): void {
  const file = driver.openFile(path, 'write')
  file.resize(sizeBytes)
  file.close()
}

/** Names in `t-0` that end so. */
export function namesEnding(driver: StorageDriver, suffix: string): readonly string[] {
  return driver.list('t-0').filter((name) => name.endsWith(suffix))
}
