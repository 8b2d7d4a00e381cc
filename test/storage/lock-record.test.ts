/** The lock record: whatever openers, crashes and releases come together, one holds it at most. */
import fc from 'fast-check'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  LOCK_RECORD_FILE,
  parseLockRecord,
  readLockRecord,
  removeLockRecord,
  runLockSteps,
  takeLockRecord,
} from '../../src/storage/lock-record.ts'
import type { LockRecord, LockRefusal, LockSteps, Verdict } from '../../src/storage/lock-record.ts'

/** What the file system of these tests refuses. */
const refused = vi.hoisted(() => ({ links: false, bytes: false }))

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>()
  const fail = (code: string): never => {
    throw Object.assign(new Error(code), { code })
  }
  return {
    ...fs,
    linkSync: (from: string, to: string) => (refused.links ? fail('EPERM') : fs.linkSync(from, to)),
    writeFileSync: (file: string | number, text: string) => {
      if (!refused.bytes || typeof file === 'string') return fs.writeFileSync(file, text)
      fs.writeFileSync(file, text.slice(0, 10))
      return fail('ENOSPC')
    },
  }
})

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'streambed-record-'))
})
afterEach(() => {
  Object.assign(refused, { links: false, bytes: false })
  rmSync(directory, { recursive: true })
})

const rootFile = (): string => join(directory, LOCK_RECORD_FILE)

function recordOf(token: string): LockRecord {
  return {
    token,
    pid: 7,
    processStart: '1',
    bootId: 'boot',
    pidNamespace: 'pid:[1]',
    host: 'here',
    startedAt: 1000,
    directory: '1:2',
    socketScope: null,
    lockedFile: null,
  }
}

function take(token: string, verdict: Verdict = 'dead', isAlone = false): LockRefusal | undefined {
  return runLockSteps(
    takeLockRecord({
      directory,
      record: recordOf(token),
      fileMode: 0o600,
      judge: () => verdict,
      isAlone,
    }),
  )
}

describe('takeLockRecord', () => {
  it('leaves nothing but the record, and nothing at all after its removal', () => {
    expect(take('one')).toBeUndefined()
    expect(readdirSync(directory)).toEqual([LOCK_RECORD_FILE])
    expect(readLockRecord(directory)).toEqual(recordOf('one'))
    runLockSteps(removeLockRecord(directory, 'one'))
    expect(readdirSync(directory)).toEqual([])
    expect(readLockRecord(directory)).toBeNull()
  })

  it('succeeds a dead holder and cleans up what crashes left', () => {
    take('one')
    writeFileSync(`${rootFile()}.gone`, 'half a rec')
    writeFileSync(`${rootFile()}.gone.new`, '')
    expect(take('two')).toBeUndefined()
    expect(readdirSync(directory)).toEqual([LOCK_RECORD_FILE])
    expect(readLockRecord(directory)?.token).toBe('two')
  })

  it.each(['alive', 'undecidable'] as const)('is refused by a holder that is %s', (verdict) => {
    take('one')
    expect(take('two', verdict)).toEqual({ verdict, holder: recordOf('one') })
    expect(readdirSync(directory)).toEqual([LOCK_RECORD_FILE])
  })

  it.each(['', '{', '{}', 'null', '\0\0\0', JSON.stringify({ ...recordOf('../x') })])(
    'succeeds the garbage %j',
    (garbage) => {
      writeFileSync(rootFile(), garbage)
      expect(take('one', 'alive')).toBeUndefined()
      expect(readdirSync(directory)).toEqual([LOCK_RECORD_FILE])
    },
  )

  it('does not remove a record that another one has placed', () => {
    take('one')
    runLockSteps(removeLockRecord(directory, 'two'))
    expect(readLockRecord(directory)?.token).toBe('one')
  })

  it('fails with IO where the record cannot be a file', () => {
    rmSync(directory, { recursive: true })
    expect(() => take('one')).toThrow(expect.objectContaining({ code: 'IO' }))
    directory = mkdtempSync(join(tmpdir(), 'streambed-record-'))
  })
})

describe('takeLockRecord on a full disk', () => {
  it.each([true, false])('leaves nothing half written (links refused: %s)', (links) => {
    Object.assign(refused, { links, bytes: true })
    expect(() => take('one')).toThrow(expect.objectContaining({ code: 'NO_SPACE' }))
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('takeLockRecord on a file system without links', () => {
  beforeEach(() => {
    refused.links = true
  })

  it('places records, succeeds dead ones and is refused by living ones', () => {
    expect(take('one')).toBeUndefined()
    expect(take('two', 'alive')).toEqual({ verdict: 'alive', holder: recordOf('one') })
    expect(take('two')).toBeUndefined()
    expect(readLockRecord(directory)?.token).toBe('two')
    expect(readdirSync(directory)).toEqual([LOCK_RECORD_FILE])
  })

  it('succeeds garbage only under a kernel lock: it may be a record that is being written', () => {
    writeFileSync(rootFile(), '')
    expect(take('one')).toEqual({ verdict: 'undecidable', holder: null })
    expect(take('one', 'dead', true)).toBeUndefined()
    expect(readLockRecord(directory)?.token).toBe('one')
  })
})

describe('parseLockRecord', () => {
  it('reads what was written, and refuses every beginning of it', () => {
    const text = JSON.stringify(recordOf('one'))
    expect(parseLockRecord(text)).toEqual(recordOf('one'))
    for (let length = 0; length < text.length; length += 1) {
      expect(parseLockRecord(text.slice(0, length))).toBeNull()
    }
  })

  it.each(['1e400', '7.5', '"7"', 'null'])('refuses %s as the number of a process', (pid) => {
    const text = JSON.stringify(recordOf('one')).replace('"pid":7', `"pid":${pid}`)
    expect(text).toContain(pid)
    expect(parseLockRecord(text)).toBeNull()
  })
})

/** A process that opens, holds, closes or crashes, one step on the disk at a time. */
class Opener {
  readonly #alive: Set<string>
  readonly #nextToken: () => string
  #token = ''
  #taking: LockSteps<LockRefusal | undefined> | undefined
  #removing: LockSteps<void> | undefined
  isHolder = false

  constructor(alive: Set<string>, nextToken: () => string) {
    this.#alive = alive
    this.#nextToken = nextToken
  }

  step(): void {
    if (this.isHolder) {
      this.#removing ??= removeLockRecord(directory, this.#token)
      if (this.#removing.next().done) this.crash() // Nothing left to lose.
      return
    }
    const step = (this.#taking ??= this.#open()).next()
    if (!step.done) return
    this.#taking = undefined
    if (step.value === undefined) this.isHolder = true
    else this.#alive.delete(this.#token)
  }

  /** Ends here and now; what it had on disk stays. The next step is one of another process. */
  crash(): void {
    this.#alive.delete(this.#token)
    this.#taking = undefined
    this.#removing = undefined
    this.isHolder = false
  }

  #open(): LockSteps<LockRefusal | undefined> {
    this.#token = this.#nextToken()
    this.#alive.add(this.#token)
    return takeLockRecord({
      directory,
      record: recordOf(this.#token),
      fileMode: 0o600,
      judge: (record) => (this.#alive.has(record.token) ? 'alive' : 'dead'),
      isAlone: false,
    })
  }
}

/** Thousands of files are made and removed: what that takes, the disk says. */
const SLOW_DISK_MS = 120_000

describe('the chain of records', () => {
  it(
    'has at most one holder, whoever steps, crashes or closes when, and never locks for ever',
    { timeout: SLOW_DISK_MS },
    () => {
      const moves = fc.array(
        fc.record({ opener: fc.nat({ max: 3 }), crashes: fc.integer({ min: 0, max: 19 }) }),
        { minLength: 20, maxLength: 120 },
      )
      const before = fc.constantFrom('', 'garbage', JSON.stringify(recordOf('dead')))
      fc.assert(
        fc.property(before, moves, (rootText, history) => {
          for (const name of readdirSync(directory)) rmSync(join(directory, name))
          if (rootText !== '') writeFileSync(rootFile(), rootText)
          const alive = new Set<string>()
          let tokens = 0
          const openers = Array.from({ length: 4 }, () => new Opener(alive, () => `t${tokens++}`))
          for (const { opener, crashes } of history) {
            if (crashes === 0) openers[opener]?.crash()
            else openers[opener]?.step()
            expect(openers.filter(({ isHolder }) => isHolder).length).toBeLessThanOrEqual(1)
          }
          for (const opener of openers) opener.crash()
          expect(take('last')).toBeUndefined()
        }),
      )
    },
  )
})
