/** metadata.json: round trips, fallbacks, feature flags, what is kept, and crashes at any line. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { readWholeFile } from '../../src/storage/checkpoint-file.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import {
  emptyMetadata,
  type LogMetadata,
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  readMetadata,
  writeMetadata,
} from '../../src/storage/metadata-file.ts'
import { completeProcedure, runProcedure } from '../../src/storage/procedure.ts'
import { isJsonObject, type JsonObject, parseJson, sealed } from '../../src/storage/sealed-json.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { everyCrash, STATES_A_CALL } from '../support/every-crash.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAAKg'
const OLDER = withTopics('older')
const OLD = withTopics('older', 'old')
const NEW = withTopics('older', 'old', 'new')

describe('metadata.json', () => {
  it('gives back what was written, for any topic names and settings', () => {
    const name = fc
      .oneof(
        fc.constantFrom('__proto__', 'constructor', 'toString', '1', '__consumer_offsets'),
        fc.stringMatching(/^[a-zA-Z0-9._-]{1,9}$/),
      )
      .filter((text) => text !== '.' && text !== '..')
    const config = fc.dictionary(
      fc.constantFrom('retentionMs', 'cleanupPolicy', '__proto__', 'retainUntilConsumed'),
      fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.string())),
    )
    const topic = fc.record(
      { id: fc.constant(ID), partitions: fc.integer({ min: 1, max: 100_000 }), config },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(
        fc.dictionary(name, topic),
        fc.array(
          fc.record(
            { id: fc.constant(ID), name, partitions: fc.constant(1) },
            { noNullPrototype: true },
          ),
        ),
        (topics, deleting) => {
          const driver = openMemoryDriver()
          const metadata = { ...emptyMetadata(), topics: new Map(Object.entries(topics)), deleting }
          completeProcedure(writeMetadata(driver, metadata))
          const read = readMetadata(driver)
          expect(read).toMatchObject({ kind: 'found', writable: true, source: 'current' })
          if (read.kind !== 'found') return
          expect([...read.metadata.topics.keys()].sort()).toEqual(
            [...metadata.topics.keys()].sort(),
          )
          for (const [topicName, entry] of metadata.topics) {
            const same = read.metadata.topics.get(topicName)
            expect([same?.id, same?.partitions]).toEqual([entry.id, entry.partitions])
            expect(new Map(Object.entries(same?.config ?? {}))).toEqual(
              new Map(Object.entries(entry.config)),
            )
          }
          expect(read.metadata.deleting).toEqual(deleting)
          expect(Object.hasOwn(Object.prototype, 'id')).toBe(false)
        },
      ),
    )
  })

  it('is the text of the design: members in order, indented, crc last', () => {
    const driver = openMemoryDriver()
    const config = { retentionMs: 5 }
    const topic = { id: ID, partitions: 2, config, adopted: true, compacted: true }
    const deleting = [{ id: ID, name: 'gone', partitions: 1 }]
    completeProcedure(
      writeMetadata(driver, { ...emptyMetadata(), topics: new Map([['orders', topic]]), deleting }),
    )
    const { crc, ...members } = membersOf(driver)
    expect(JSON.stringify(members)).toBe(
      `{"format":1,"incompatible":[],"writeIncompatible":[],"topics":{"orders":{"id":"${ID}","partitions":2,"config":{"retentionMs":5},"adopted":true,"compacted":true}},` +
        `"deleting":[{"id":"${ID}","name":"gone","partitions":1}]}`,
    )
    expect(typeof crc).toBe('number')
    expect(readMetadata(driver)).toMatchObject({
      metadata: { topics: new Map([['orders', topic]]), deleting },
    })
  })

  it('is absent where there is neither file', () => {
    expect(readMetadata(openMemoryDriver())).toEqual({ kind: 'absent' })
  })

  it.each(['missing', 'damaged', 'empty'])(
    'where it is %s the previous one counts, and survives the next write',
    (how) => {
      const driver = openMemoryDriver()
      completeProcedure(writeMetadata(driver, OLD))
      completeProcedure(writeMetadata(driver, NEW))
      if (how === 'missing') driver.rename(METADATA_FILE, 'gone')
      else
        overwrite(
          driver,
          METADATA_FILE,
          how === 'empty' ? '' : textOf(driver, METADATA_FILE).replace('new', 'now'),
        )
      expect(readMetadata(driver)).toMatchObject({ kind: 'found', source: 'previous' })
      expect(topicsIn(driver)).toEqual(['older', 'old'])

      completeProcedure(writeMetadata(driver, OLDER))
      expect(topicsIn(driver)).toEqual(['older'])
      overwrite(driver, METADATA_FILE, 'damaged once more')
      expect(topicsIn(driver)).toEqual(['older', 'old'])
    },
  )

  it('is damaged where no file is good', () => {
    const driver = openMemoryDriver()
    overwrite(driver, PREVIOUS_METADATA_FILE, '{}')
    expect(readMetadata(driver)).toEqual({ kind: 'damaged' })
    overwrite(driver, METADATA_FILE, '\0\0')
    expect(readMetadata(driver)).toEqual({ kind: 'damaged' })
  })

  it('keeps the last good one as the previous', () => {
    const driver = openMemoryDriver()
    completeProcedure(writeMetadata(driver, OLD))
    const old = textOf(driver, METADATA_FILE)
    completeProcedure(writeMetadata(driver, NEW))
    expect(textOf(driver, PREVIOUS_METADATA_FILE)).toBe(old)
    expect(driver.list('')).toEqual([METADATA_FILE, PREVIOUS_METADATA_FILE])
  })
})

describe('metadata.json of other versions', () => {
  it('an unknown incompatible feature or a higher format is refused, and never overwritten', () => {
    for (const change of [
      { incompatible: ['striped'] },
      { format: 2 },
      { format: 2, topics: 'elsewhere' },
    ]) {
      const driver = openMemoryDriver()
      completeProcedure(writeMetadata(driver, OLD))
      completeProcedure(writeMetadata(driver, OLD))
      overwriteSealed(driver, change)
      const before = textOf(driver, METADATA_FILE)
      expect(thrownBy(() => readMetadata(driver))).toSatisfy((error) =>
        LogError.is(error, 'UNSUPPORTED_FORMAT'),
      )
      expect(thrownBy(() => completeProcedure(writeMetadata(driver, NEW)))).toSatisfy((error) =>
        LogError.is(error, 'UNSUPPORTED_FORMAT'),
      )
      expect(textOf(driver, METADATA_FILE)).toBe(before)
    }
  })

  it('an unknown writeIncompatible feature makes it read-only, and is kept', () => {
    const driver = openMemoryDriver()
    overwriteSealed(driver, { writeIncompatible: ['striped'] })
    expect(readMetadata(driver)).toMatchObject({
      kind: 'found',
      writable: false,
      metadata: { writeIncompatible: ['striped'] },
    })
  })

  it('members that it does not know are kept when it is written again', () => {
    const driver = openMemoryDriver()
    const topic = { id: ID, partitions: 1, config: { later: [1] }, colour: { deep: 'red' } }
    overwriteSealed(driver, {
      topics: { orders: topic },
      deleting: [{ id: ID, name: 'gone', partitions: 1, since: 5 }],
      ['__proto__']: 1,
      users: ['a'],
    })
    const read = readMetadata(driver)
    if (read.kind !== 'found') return expect.fail('not found')
    const orders = read.metadata.topics.get('orders')
    const topics = new Map([['orders', { id: ID, config: {}, ...orders, partitions: 7 }]])
    completeProcedure(writeMetadata(driver, { ...read.metadata, topics }))
    const { crc: _crc, ...members } = membersOf(driver)
    expect(Object.fromEntries(Object.entries(members))).toEqual({
      format: 1,
      incompatible: [],
      writeIncompatible: [],
      topics: { orders: { ...topic, partitions: 7 } },
      deleting: [{ id: ID, name: 'gone', partitions: 1, since: 5 }],
      ['__proto__']: 1,
      users: ['a'],
    })
  })

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['no format', { format: undefined }],
    ['format 0', { format: 0 }],
    ['a format that is no number', { format: '1' }],
    ['incompatible that is no list', { incompatible: {} }],
    ['topics that are a list', { topics: [] }],
    ['a topic that is none', { topics: { orders: 1 } }],
    [
      'a topic that leads out of the directory',
      { topics: { '../x': { id: ID, partitions: 1, config: {} } } },
    ],
    ['a topic without an id', { topics: { orders: { partitions: 1, config: {} } } }],
    ['a topic with half an id', { topics: { orders: { id: 'AAAA', partitions: 1, config: {} } } }],
    ['a topic without partitions', { topics: { orders: { id: ID, partitions: 0, config: {} } } }],
    ['half a partition', { topics: { orders: { id: ID, partitions: 1.5, config: {} } } }],
    ['settings that are a list', { topics: { orders: { id: ID, partitions: 1, config: [] } } }],
    ['deleting that is an object', { deleting: {} }],
    ['a deleted topic without a name', { deleting: [{ id: ID, partitions: 1 }] }],
  ])('%s is damage, the checksum notwithstanding', (_what, change) => {
    const driver = openMemoryDriver()
    overwriteSealed(driver, change)
    expect(readMetadata(driver)).toEqual({ kind: 'damaged' })
  })
})

describe('writeMetadata', () => {
  it('leaves the old or the new one after a crash at any call, and the new one once through', async () => {
    const crashes = everyCrash(
      function* prepare(driver) {
        yield* writeMetadata(driver, OLDER)
        yield* writeMetadata(driver, OLD)
      },
      (driver) => writeMetadata(driver, NEW),
    )
    let states = 0
    for await (const { kind, stoppedAt, driver } of crashes) {
      const where = `${kind} at call ${stoppedAt}`
      states++
      expect(readMetadata(driver), where).toMatchObject({ kind: 'found', source: 'current' })
      const topics = topicsIn(driver)
      if (stoppedAt === Number.POSITIVE_INFINITY)
        expect(topics, where).toEqual(['older', 'old', 'new'])
      else expect([2, 3], where).toContain(topics.length)

      // Whatever happens to metadata.json afterwards, there is a good one behind it.
      overwrite(driver, METADATA_FILE, 'damaged')
      expect(readMetadata(driver), where).toMatchObject({ kind: 'found', source: 'previous' })
      await runProcedure(writeMetadata(driver, NEW))
      expect(topicsIn(driver), where).toEqual(['older', 'old', 'new'])
    }
    expect(states).toBe(STATES_A_CALL * 10)
  })

  it('leaves one good file at least after a crash while it replaces a damaged one', async () => {
    const crashes = everyCrash(
      function* prepare(driver) {
        yield* writeMetadata(driver, OLDER)
        yield* writeMetadata(driver, OLD)
        overwrite(driver, METADATA_FILE, 'damaged')
      },
      (driver) => writeMetadata(driver, NEW),
    )
    for await (const { kind, stoppedAt, driver } of crashes) {
      const where = `${kind} at call ${stoppedAt}`
      expect(readMetadata(driver), where).toMatchObject({ kind: 'found' })
      if (stoppedAt === Number.POSITIVE_INFINITY)
        expect(topicsIn(driver), where).toEqual(['older', 'old', 'new'])
    }
  })

  it('is absent or there after a crash of the first one', async () => {
    const crashes = everyCrash(
      function* nothing() {},
      (driver) => writeMetadata(driver, NEW),
    )
    for await (const { stoppedAt, driver } of crashes) {
      const through = stoppedAt === Number.POSITIVE_INFINITY
      expect(through ? ['found'] : ['absent', 'found']).toContain(readMetadata(driver).kind)
    }
  })
})

function withTopics(...names: readonly string[]): LogMetadata {
  const topics = new Map(names.map((name) => [name, { id: ID, partitions: 1, config: {} }]))
  return { ...emptyMetadata(), topics }
}

function topicsIn(driver: StorageDriver): readonly string[] {
  const read = readMetadata(driver)
  return read.kind === 'found' ? [...read.metadata.topics.keys()] : []
}

/** A whole, checked file of format 1, except for `change`. */
function overwriteSealed(driver: StorageDriver, change: JsonObject): void {
  const members = {
    format: 1,
    incompatible: [],
    writeIncompatible: [],
    topics: {},
    deleting: [],
    ...change,
  }
  overwrite(driver, METADATA_FILE, JSON.stringify(sealed(members)))
}

function overwrite(driver: StorageDriver, path: string, text: string): void {
  const file = driver.openFile(path, driver.status(path) === undefined ? 'create' : 'write')
  file.resize(0)
  file.write(Buffer.from(text), 0, Buffer.byteLength(text), 0)
  file.close()
}

function membersOf(driver: StorageDriver): JsonObject {
  const value = parseJson(textOf(driver, METADATA_FILE))
  if (!isJsonObject(value)) throw new Error('metadata.json is no object')
  return value
}

function textOf(driver: StorageDriver, path: string): string {
  return String(readWholeFile(driver, path))
}

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
