/**
 * A stranger's program over the installed package: appends with each codec that is there, closes,
 * opens again and reads everything back; and the same over a simulated disk. Run by check-package.mjs in a project of its own.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { EventLog, LogError } from 'streambed'
import { recordsOf, testLog } from 'streambed/testing'

const [name] = process.argv.slice(2)
assert.equal(typeof createRequire(import.meta.url)('streambed').EventLog.open, 'function')

const log = await EventLog.open('./data')
const topic = await log.createTopic('events', { partitions: 2 })
const sent = []
for (const compression of ['none', 'gzip', 'lz4', 'zstd']) {
  try {
    const producer = log.producer({ compression })
    await producer.send({ topic: 'events', key: compression, value: compression.repeat(1000) })
    await producer.close()
    sent.push(compression)
  } catch (error) {
    // Its package is not installed: said so, and never for the two that need none.
    assert.ok(LogError.is(error, 'INVALID_ARGUMENT'), String(error))
    assert.ok(compression !== 'none' && compression !== 'gzip', String(error))
  }
}
assert.equal(topic.name, 'events')
await log.close()

const again = await EventLog.open('./data')
const keys = []
for await (const record of again.topic('events').read()) keys.push(record.key?.toString())
assert.deepEqual(new Set(keys), new Set(sent))
console.log(`${name}: ${sent.join(', ')}; reads by ${again.guarantees().reads}`)
await again.close()

const t = testLog()
const tests = await t.log.createTopic('tests')
await tests.send({ value: 'kept' })
assert.equal(recordsOf((await t.faults.crash()).topic('tests'))[0]?.value, 'kept')
await t.log.close()
