/**
 * Verification and repair of stored logs, over any driver.
 */
import { repairDirectory } from '../../src/log/repair-directory.ts'
import { DirectoryVerification, type VerifyFindings } from '../../src/log/verify-directory.ts'
import type { Procedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { SPECIMENS, type Specimen } from './specimens.ts'
import type { StoredLog } from './stored-log.ts'

/** One of the logs to be damaged. */
export async function specimen(name: string): Promise<Specimen> {
  const found = await SPECIMENS[name]?.()
  if (found === undefined) throw new Error(`no specimen ${name}`)
  return found
}

/** `stored` with bytes of files changed; an undefined one is removed. */
export function changed(
  { stored }: Specimen,
  changes: Readonly<Record<string, (bytes: Buffer) => Buffer | undefined>>,
): StoredLog {
  const damaged = new Map(stored)
  for (const [path, change] of Object.entries(changes)) {
    const bytes = change(Buffer.from(damaged.get(path) ?? ''))
    if (bytes === undefined) damaged.delete(path)
    else damaged.set(path, bytes)
  }
  return damaged
}

/** A change of one byte. */
export function flip(at: number): (bytes: Buffer) => Buffer {
  return (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x55
    return bytes
  }
}

/** What verification finds. */
export function verify(driver: StorageDriver, bootId: string): VerifyFindings {
  const newTopicId = (): string => 'AAAAAAAAAAAAAAAAAAAAAQ'
  const verification = new DirectoryVerification({ driver, bootId, isLive: false, newTopicId })
  while (verification.step(1_000_000));
  const { findings } = verification
  if (findings === undefined) throw new Error('no findings')
  return findings
}

/** Verifies, and repairs what is found. */
export function* repair(driver: StorageDriver, bootId: string): Procedure<VerifyFindings> {
  const findings = verify(driver, bootId)
  const randomBytes = (count: number): Buffer => Buffer.alloc(count, 7)
  yield* repairDirectory({ driver, findings, randomBytes, onFile: () => undefined })
  return findings
}
