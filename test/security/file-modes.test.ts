/** What a log makes is its owner's alone, unless the options say otherwise. */
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { EventLog, type EventLogOptions } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe.skipIf(process.platform === 'win32')('the modes of what a log makes', () => {
  let umask = 0
  beforeAll(() => {
    umask = process.umask(0)
  })
  afterAll(() => {
    process.umask(umask)
  })

  it("are its owner's alone, lock, marker and checkpoints included", async () => {
    const directory = join(temporaryDirectory(), 'above', 'log')
    const log = await filledLog(directory)
    expect(modesIn(directory)).toEqual({ files: [0o600], directories: [0o700] })
    await log.close()
    expect(modesIn(directory)).toEqual({ files: [0o600], directories: [0o700] })
    expect(modeOf(join(directory, '..'))).toBe(0o700)
  })

  it('are those of the options', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const log = await filledLog(directory, { fileMode: 0o660, directoryMode: 0o2770 & 0o777 })
    expect(modesIn(directory)).toEqual({ files: [0o660], directories: [0o770] })
    await log.close()
    expect(modesIn(directory)).toEqual({ files: [0o660], directories: [0o770] })
  })

  it('lose what the umask takes away', async () => {
    process.umask(0o027)
    onTestFinished(() => void process.umask(0))
    const directory = join(temporaryDirectory(), 'log')
    await filledLog(directory, { fileMode: 0o666, directoryMode: 0o777 })
    expect(modesIn(directory)).toEqual({ files: [0o640], directories: [0o750] })
  })

  it('are left alone where a file or directory is there already', async () => {
    const directory = join(temporaryDirectory(), 'log')
    mkdirSync(directory, { mode: 0o755 })
    writeFileSync(join(directory, '.lock'), '')
    chmodSync(join(directory, '.lock'), 0o644)
    await filledLog(directory)
    expect(modeOf(directory)).toBe(0o755)
    expect(modeOf(join(directory, '.lock'))).toBe(0o644)
  })
})

async function filledLog(directory: string, options: EventLogOptions = {}): Promise<EventLog> {
  const log = await EventLog.open(directory, options)
  onTestFinished(() => log.close())
  const topic = await log.ensureTopic('orders', { segmentBytes: 1_024, partitions: 2 })
  await topic.sendAll(
    Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, value: 'x'.repeat(50) })),
  )
  await log.ensureTopic('gone')
  await log.deleteTopic('gone')
  return log
}

/** Each mode that occurs, once. */
function modesIn(directory: string): { files: readonly number[]; directories: readonly number[] } {
  const files = new Set<number>()
  const directories = new Set([modeOf(directory)])
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const modes = entry.isDirectory() ? directories : files
    modes.add(modeOf(join(entry.parentPath, entry.name)))
  }
  return { files: [...files], directories: [...directories] }
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}
