/**
 * A log stays in its directory: nothing in there may lead out of it, neither a name nor a link.
 * Each link here leads to a victim, which must be what it was afterwards.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { EventLog, LogError } from '../../src/index.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const LOG_FILE = `${'0'.repeat(20)}.log`
const VICTIM = 'what somebody else keeps'

/** What a log leaves open, closed, and in its partition folders. */
const FILES = [
  '.lock',
  'streambed.lock',
  'streambed.control',
  'metadata.json',
  'meta.properties',
  '.kafka_cleanshutdown',
  'recovery-point-offset-checkpoint',
  'log-start-offset-checkpoint',
  `orders-0/${LOG_FILE}`,
  `orders-0/${LOG_FILE.replace('.log', '.index')}`,
  'orders-0/leader-epoch-checkpoint',
  'orders-0/partition.metadata',
]

describe('a symbolic link in the directory of a log', () => {
  it.each(FILES)(
    'in place of %s is refused, or replaced, and never written through',
    async (file) => {
      const { directory, victim } = await closedLog()
      rmSync(join(directory, file), { force: true })
      symlinkSync(victim, join(directory, file))
      const refused = await openAndUse(directory)
      if (refused !== null) {
        expect(refused).toMatchObject({ code: 'IO', cause: { code: 'ELOOP' } })
        expect(refused.message).toMatch(/link/)
      }
      expect(readFileSync(victim, 'utf8')).toBe(VICTIM)
    },
  )

  it.each(['.lock', 'streambed.control', 'metadata.json', `orders-0/${LOG_FILE}`])(
    'that dangles in place of %s makes no file where it leads',
    async (file) => {
      const { directory, outside } = await closedLog()
      const target = join(outside, 'made')
      rmSync(join(directory, file), { force: true })
      symlinkSync(target, join(directory, file))
      await openAndUse(directory)
      expect(existsSync(target)).toBe(false)
    },
  )

  it.each(['metadata.json.tmp', 'orders-0/leader-epoch-checkpoint.tmp'])(
    'in place of a file that is about to be written, %s, is refused',
    async (file) => {
      const { directory, victim } = await closedLog()
      symlinkSync(victim, join(directory, file))
      await openAndUse(directory)
      expect(readFileSync(victim, 'utf8')).toBe(VICTIM)
    },
  )

  it.each(['clean', 'killed'])(
    'in place of a partition folder is refused, after a %s stop',
    async (stop) => {
      const { directory, outside } = await closedLog()
      renameSync(join(directory, 'orders-0'), join(outside, 'orders-0'))
      symlinkSync(join(outside, 'orders-0'), join(directory, 'orders-0'))
      if (stop === 'killed') rmSync(join(directory, '.kafka_cleanshutdown'))
      const before = namesIn(join(outside, 'orders-0'))
      const refused = await openAndUse(directory)
      expect(refused).toMatchObject({ code: 'IO', cause: { code: 'ELOOP' } })
      expect(refused?.message).toMatch(/orders-0.*link/)
      expect(namesIn(join(outside, 'orders-0'))).toEqual(before)
    },
  )

  it('that looks like the folder of an unknown partition is refused, not adopted', async () => {
    const { directory, outside } = await closedLog()
    symlinkSync(outside, join(directory, 'adopted-0'))
    expect(await openAndUse(directory)).toMatchObject({ code: 'IO', cause: { code: 'ELOOP' } })
  })

  it('in place of a folder that is to be deleted takes nothing with it', async () => {
    const { directory, outside, victim } = await closedLog()
    const aside = join(directory, `orders-0.${'a'.repeat(32)}-delete`)
    symlinkSync(outside, aside)
    await openAndUse(directory)
    expect(readFileSync(victim, 'utf8')).toBe(VICTIM)
  })

  it('to the directory itself is fine: that is its owner to choose', async () => {
    const { directory, outside } = await closedLog()
    const link = join(outside, 'link')
    symlinkSync(directory, link)
    expect(await openAndUse(link)).toBeNull()
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
  })
})

describe('a driver below whose root a directory is a link', () => {
  it.each([
    ['openFile to read', (driver) => driver.openFile('d/f', 'read')],
    ['openFile to write', (driver) => driver.openFile('d/f', 'write')],
    ['openFile to create', (driver) => driver.openFile('d/new', 'create')],
    ['status', (driver) => driver.status('d/f')],
    ['list', (driver) => driver.list('d')],
    ['createDirectory', (driver) => driver.createDirectory('d/new')],
    ['rename from it', (driver) => driver.rename('d/f', 'f')],
    ['rename into it', (driver) => driver.rename('own', 'd/own')],
    ['unlink', (driver) => driver.unlink('d/f')],
    ['removeDirectory', (driver) => driver.removeDirectory('d/sub')],
    ['removeDirectory of it', (driver) => driver.removeDirectory('d')],
    ['flushDirectory', (driver) => driver.flushDirectory('d')],
  ] as readonly (readonly [string, (driver: ReturnType<typeof openDiskDriver>) => unknown])[])(
    'refuses %s',
    async (_, call) => {
      const [directory, outside] = [temporaryDirectory(), temporaryDirectory()]
      writeFileSync(join(outside, 'f'), VICTIM)
      mkdirSync(join(outside, 'sub'))
      writeFileSync(join(directory, 'own'), 'ours')
      symlinkSync(outside, join(directory, 'd'))
      const driver = openDiskDriver(directory)
      onTestFinished(() => driver.close())
      const before = namesIn(outside)
      const refusal = await Promise.resolve()
        .then(() => call(driver))
        .then(
          () => undefined,
          (error: unknown) => error,
        )
      expect(refusal).toMatchObject({ code: 'IO' })
      expect(namesIn(outside)).toEqual(before)
      expect(namesIn(directory)).toEqual(['d', 'own'])
    },
  )
})

describe('a path to a driver', () => {
  const hostile = fc.oneof(
    fc
      .array(fc.constantFrom('..', '.', '', 'a', '/', '\\', '\0'), { maxLength: 6 })
      .map((parts) => parts.join('/')),
    fc.constantFrom('../x', 'a/../../x', '/etc/passwd', 'a\\..\\x', 'a\0b', './x', 'a//b', 'a/'),
  )

  it('never leads out of the directory', () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    onTestFinished(() => driver.close())
    fc.assert(
      fc.property(hostile, (path) => {
        const isPlain =
          path === '' ||
          path.split('/').every((name) => /^[^\\\0]+$/.test(name) && name !== '.' && name !== '..')
        if (isPlain) return
        expect(() => driver.status(path)).toThrow(InvariantError)
        expect(() => driver.openFile(path, 'create')).toThrow(InvariantError)
      }),
    )
    expect(namesIn(directory)).toEqual([])
  })
})

describe('the name of a topic', () => {
  const letters = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc
      .array(fc.constantFrom('..', '.', '/', '\\', '\0', '%2e', '~', ':', '\n', 'a', '-0'), {
        maxLength: 8,
      })
      .map((parts) => parts.join('')),
  )

  it('makes a folder of its own in the directory, or is refused', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const log = await EventLog.open(directory)
    onTestFinished(() => log.close())
    await fc.assert(
      fc.asyncProperty(letters, async (name) => {
        const made = await log.createTopic(name).then(
          () => true,
          (error: unknown) => {
            if (!LogError.is(error, 'INVALID_ARGUMENT', 'TOPIC_EXISTS')) throw error
            return false
          },
        )
        if (made) expect(readdirSync(directory)).toContain(`${name}-0`)
      }),
      { numRuns: 60 },
    )
    expect(readdirSync(join(directory, '..'))).toEqual(['log'])
  })
})

/** A log with a topic, closed; a directory outside of it, with a file that is nobody's business. */
async function closedLog(): Promise<{ directory: string; outside: string; victim: string }> {
  const [directory, outside] = [join(temporaryDirectory(), 'log'), temporaryDirectory()]
  const victim = join(outside, 'victim')
  writeFileSync(victim, VICTIM)
  const log = await EventLog.open(directory)
  await (await log.ensureTopic('orders')).sendAll([{ value: 'one' }, { value: 'two' }])
  await log.close()
  return { directory, outside, victim }
}

/** Opens, writes and closes; gives the error that refused it, or null. */
async function openAndUse(directory: string): Promise<LogError | null> {
  try {
    const log = await EventLog.open(directory, { onWarning: () => undefined })
    try {
      await (await log.ensureTopic('orders')).send({ value: 'three' })
      await log.ensureTopic('more')
    } finally {
      await log.close()
    }
    return null
  } catch (error) {
    if (LogError.is(error)) return error
    throw error
  }
}

function namesIn(directory: string): readonly string[] {
  return readdirSync(directory).sort()
}
