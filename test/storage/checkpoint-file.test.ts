/** Small files replaced as a whole: what is there after a crash at any line, and on a disk. */

import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { readWholeFile, replaceFile } from '../../src/storage/checkpoint-file.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { completeProcedure, runProcedure } from '../../src/storage/procedure.ts'
import { everyCrash, STATES_A_CALL } from '../support/every-crash.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const OLD = Buffer.from('0\n1\norders 0 7\n')
const NEW = Buffer.from('0\n2\norders 0 9\norders 1 1\n')

describe('replaceFile', () => {
  it('leaves the old bytes or the new ones after a crash at any call, the new ones once through', async () => {
    let states = 0
    const crashes = everyCrash(
      (driver) => replaceFile(driver, 'checkpoint', OLD),
      (driver) => replaceFile(driver, 'checkpoint', NEW),
    )
    for await (const { kind, stoppedAt, driver } of crashes) {
      states++
      const bytes = readWholeFile(driver, 'checkpoint')
      const allowed =
        stoppedAt === Number.POSITIVE_INFINITY ? [String(NEW)] : [String(OLD), String(NEW)]
      expect(allowed, `${kind} at call ${stoppedAt}`).toContain(String(bytes))
    }
    // create, write, flush, rename, flush the directory, and through.
    expect(states).toBe(STATES_A_CALL * 6)
  })

  it('goes through after a crash of an earlier replacement at any call', async () => {
    const crashes = everyCrash(
      (driver) => replaceFile(driver, 'checkpoint', OLD),
      (driver) => replaceFile(driver, 'checkpoint', Buffer.alloc(1_000, 'x')),
    )
    for await (const { driver } of crashes) {
      await runProcedure(replaceFile(driver, 'checkpoint', NEW))
      expect(readWholeFile(driver, 'checkpoint')).toEqual(NEW)
      expect(driver.list('')).toEqual(['checkpoint'])
    }
  })

  it('creates the file, in the directory it belongs to, and works without waiting on memory', () => {
    const driver = openMemoryDriver()
    driver.createDirectory('orders-0')
    completeProcedure(replaceFile(driver, 'orders-0/leader-epoch-checkpoint', OLD))
    completeProcedure(replaceFile(driver, 'orders-0/leader-epoch-checkpoint', NEW))
    expect(driver.list('orders-0')).toEqual(['leader-epoch-checkpoint'])
    expect(readWholeFile(driver, 'orders-0/leader-epoch-checkpoint')).toEqual(NEW)
  })

  it('replaces a leftover .tmp on disk, however long', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    onTestFinished(() => driver.close())
    fs.writeFileSync(join(directory, 'checkpoint.tmp'), 'x'.repeat(1_000))
    await runProcedure(replaceFile(driver, 'checkpoint', NEW))
    expect(fs.readdirSync(directory)).toEqual(['checkpoint'])
    expect(fs.readFileSync(join(directory, 'checkpoint'))).toEqual(NEW)
  })

  it('does not write through a symbolic link that lies in its way', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    onTestFinished(() => driver.close())
    fs.writeFileSync(join(directory, 'precious'), 'keep')
    fs.symlinkSync('precious', join(directory, 'checkpoint.tmp'))
    await expect(runProcedure(replaceFile(driver, 'checkpoint', NEW))).rejects.toSatisfy((error) =>
      LogError.is(error, 'IO'),
    )
    expect(fs.readFileSync(join(directory, 'precious'), 'utf8')).toBe('keep')
  })
})

describe('readWholeFile', () => {
  it('is undefined where nothing is, and empty for an empty file', () => {
    const driver = openMemoryDriver()
    expect(readWholeFile(driver, 'a')).toBeUndefined()
    driver.openFile('a', 'create').close()
    expect(readWholeFile(driver, 'a')).toEqual(Buffer.alloc(0))
  })

  it('is undefined for a file that goes away between the look and the opening', () => {
    const driver = openMemoryDriver()
    const status = { kind: 'file', sizeBytes: 1, modifiedMs: 0, fileId: '1', version: '' } as const
    const racing = Object.assign(Object.create(driver) as typeof driver, {
      status: () => status,
      openFile: (path: string) => driver.openFile(path, 'read'),
    })
    expect(readWholeFile(racing, 'a')).toBeUndefined()
  })

  it('is the other file where one takes the name between the look and the opening', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    onTestFinished(() => driver.close())
    await runProcedure(replaceFile(driver, 'checkpoint', OLD))
    let replacements = 0
    const racing = Object.assign(Object.create(driver) as typeof driver, {
      status: (path: string) => driver.status(path),
      openFile: (path: string) => {
        const file = driver.openFile(path, 'read')
        expect(file.sizeBytes).toBeGreaterThan(0)
        if (replacements++ < 3) {
          fs.writeFileSync(join(directory, 'new'), NEW)
          fs.renameSync(join(directory, 'new'), join(directory, path))
        }
        return file
      },
    })
    expect(readWholeFile(racing, 'checkpoint')).toEqual(NEW)
    expect(replacements).toBe(4)
  })

  it('throws for a directory', () => {
    const driver = openMemoryDriver()
    driver.createDirectory('d')
    expect(() => readWholeFile(driver, 'd')).toThrow(LogError)
  })
})
