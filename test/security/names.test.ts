/**
 * Names that mean something to JavaScript (`__proto__`, `constructor`) mean nothing here: as the
 * name of a topic, header, option or setting, or in the files of a log, they are text. Nothing that
 * is handed in, and no byte of a file, changes the prototype of anything.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { defineTopic, EventLog, LogError, serdes } from '../../src/index.ts'
import { parseJavaProperties } from '../../src/storage/java-properties.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { readCleanMarker } from '../../src/storage/clean-marker.ts'
import { parseMetaProperties } from '../../src/storage/meta-properties.ts'
import { METADATA_FILE, readMetadata } from '../../src/storage/metadata-file.ts'
import { parseLockRecord } from '../../src/storage/lock-record.ts'
import { sealed, unsealed } from '../../src/storage/sealed-json.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const HOSTILE = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'then',
] as const
const name = fc.constantFrom(...HOSTILE)
/** JSON in which such names stand anywhere; as text, since in an object literal they would not. */
const hostileJson = fc
  .letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('1', '"polluted"', 'true', 'null', '[]'),
      fc
        .array(fc.tuple(name, tie('value')), { maxLength: 4 })
        .map(
          (members) => `{${members.map(([key, value]) => `"${key}":${String(value)}`).join(',')}}`,
        ),
    ),
  }))
  .value.map(String)

const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, Map.prototype]
const before = PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).length)

afterEach(() => {
  const now = PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).length)
  if (String(now) !== String(before)) throw new Error('a prototype was changed')
})

describe('a name that JavaScript knows', () => {
  it.each(HOSTILE)('%s is a topic like any other, on disk too', async (topic) => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory)
    expect(() => log.topic(topic)).toThrow(LogError)
    await log.createTopic(topic, { segmentMs: 5_000 })
    await log.topic(topic).send({ key: topic, value: topic })
    await log.close()
    const again = await EventLog.open(directory)
    onTestFinished(() => again.close())
    expect(again.topics().map((one) => one.name)).toEqual([topic])
    expect(again.topic(topic).config.segmentMs).toBe(5_000)
    expect(again.topic(topic).partition(0).get(0)?.value?.toString()).toBe(topic)
    await again.deleteTopic(topic)
    expect(() => again.topic(topic)).toThrow(LogError)
  })

  it.each(HOSTILE)('%s is a header like any other', (header) => {
    const log = EventLog.inMemory({ topics: [defineTopic('t')] })
    const partition = log.topic('t').partition(0)
    expect(partition.append({ value: 'x' }).baseOffset).toBe(0)
    partition.append({ headers: [[header, 'value']] })
    partition.append({ headers: JSON.parse(`{"${header}":"value"}`) as Record<string, string> })
    expect(partition.get(0)?.headers.get(header)).toBeUndefined()
    for (const offset of [1, 2]) {
      expect(partition.get(offset)?.headers.text(header)).toBe('value')
      expect(JSON.parse(JSON.stringify(partition.get(offset)))).toMatchObject({
        headers: [[header, 'value']],
      })
    }
  })

  it.each(HOSTILE)('%s is no option, no setting and no property of a record', async (option) => {
    const given = JSON.parse(`{"${option}":{"polluted":true}}`) as object
    const log = EventLog.inMemory({ topics: [defineTopic('t')] })
    const refused = { code: 'INVALID_ARGUMENT' }
    const calls: readonly (() => unknown)[] = [
      () => EventLog.inMemory(given),
      () => EventLog.inMemory({ topicDefaults: given }),
      () => log.producer(given),
      () => log.topic('t').partition(0).append(given),
      () => log.topic('t').partition(0).records(given),
      () => defineTopic('t2', given),
    ]
    for (const call of calls) expect(call, String(call)).toThrow(expect.objectContaining(refused))
    await expect(log.createTopic('t3', given)).rejects.toMatchObject(refused)
    await expect(log.topic('t').send(given)).rejects.toMatchObject(refused)
    await expect(log.close(given)).rejects.toMatchObject(refused)
    await expect(EventLog.open(join(temporaryDirectory(), 'log'), given)).rejects.toMatchObject(
      refused,
    )
  })
})

describe('a value that names prototypes', () => {
  it('comes back from JSON as it was, and changes nothing else', () => {
    const topic = defineTopic('t', { value: serdes.json() })
    const log = EventLog.inMemory({ topics: [topic] })
    const partition = log.topic(topic).partition(0)
    fc.assert(
      fc.property(hostileJson, (json) => {
        const value: unknown = JSON.parse(json)
        if (value === null) return
        const { baseOffset } = partition.append({ value })
        expect(JSON.stringify(partition.get(baseOffset)?.value)).toBe(JSON.stringify(value))
        expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
      }),
    )
  })
})

describe('a file of a log that names prototypes', () => {
  it('is read as text or refused, whatever it says', () => {
    fc.assert(
      fc.property(hostileJson, (json) => {
        for (const text of [json, JSON.stringify(sealedText(json))]) {
          const driver = driverWith({ [METADATA_FILE]: text, '.kafka_cleanshutdown': text })
          expect(readMetadata(driver).kind).toBe('damaged')
          expect(readCleanMarker(driver)).toBe('kafka')
          expect(parseLockRecord(text)).toBeNull()
        }
      }),
    )
  })

  it('keeps members that are not known under any name', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name), hostileJson, (names, json) => {
        const members = Object.fromEntries(names.map((one) => [one, JSON.parse(json) as unknown]))
        const text = JSON.stringify(sealed(members))
        expect(Object.entries(unsealed(JSON.parse(text)) ?? {})).toEqual(Object.entries(members))
      }),
    )
  })

  it('has properties of any name, and none that it does not have', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name), (names) => {
        const text = `version=1\ncluster.id=c\nnode.id=1\n${names.map((one) => `${one}=${one}\n`).join('')}`
        const parsed = parseJavaProperties(text)
        expect(HOSTILE.filter((one) => parsed?.has(one)).sort()).toEqual([...names].sort())
        const meta = parseMetaProperties(Buffer.from(text))
        expect(HOSTILE.filter((one) => meta?.others.has(one)).sort()).toEqual([...names].sort())
      }),
    )
  })

  it('has settings that it does not know under any name, and keeps them', async () => {
    const directory = join(temporaryDirectory(), 'log')
    mkdirSync(directory)
    const log = await EventLog.open(directory)
    await log.createTopic('t', { segmentMs: 5_000 })
    await log.close()
    const file = join(directory, METADATA_FILE)
    const metadata = unsealed(JSON.parse(readFileSync(file, 'utf8'))) ?? {}
    const text = JSON.stringify(metadata).replace(
      '"segmentMs":5000',
      '"segmentMs":5000,"__proto__":{"retentionMs":1},"constructor":7',
    )
    writeFileSync(file, JSON.stringify(sealed(JSON.parse(text) as Record<string, unknown>)))
    rmSync(`${file}.previous`, { force: true })
    const again = await EventLog.open(directory)
    expect(again.topic('t').config).toMatchObject({ segmentMs: 5_000, retentionMs: -1 })
    await again.createTopic('more') // Writes the file anew.
    await again.close()
    expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toContain(
      '"__proto__":{"retentionMs":1}',
    )
  })
})

describe('a program whose prototypes somebody else has changed', () => {
  it('gets no option from there', async () => {
    const prototype = Object.getPrototypeOf({}) as object // Object.prototype
    Object.defineProperty(prototype, 'lockTimeoutMs', {
      value: 'polluted',
      configurable: true,
      enumerable: false,
    })
    onTestFinished(() => void Reflect.deleteProperty(prototype, 'lockTimeoutMs'))
    const log = await EventLog.open(temporaryDirectory(), {})
    await log.close()
    Reflect.deleteProperty(prototype, 'lockTimeoutMs')
  })
})

function sealedText(json: string): unknown {
  const value: unknown = JSON.parse(json)
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? sealed(value as Record<string, unknown>) : value
}

function driverWith(files: Readonly<Record<string, string>>): ReturnType<typeof openMemoryDriver> {
  const driver = openMemoryDriver({ now: () => 0 })
  for (const [path, text] of Object.entries(files)) {
    const file = driver.openFile(path, 'create')
    const bytes = Buffer.from(text)
    file.write(bytes, 0, bytes.length, 0)
    file.close()
  }
  return driver
}
