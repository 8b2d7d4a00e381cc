/**
 * A log that is damaged on purpose: what verifying finds, what repairing keeps, and what reads
 * afterwards. Runs as it is, in a directory of its own.
 */
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventLog } from 'streambed'

const directory = mkdtempSync(join(tmpdir(), 'damaged-log-'))
const log = await EventLog.open(directory)
const orders = (await log.ensureTopic('orders')).partition(0)
for (let n = 0; n < 10; n++) orders.append({ value: `order ${n}` })
console.log('while it is open:', (await log.scrub()).sound ? 'sound' : 'damaged')
await log.close()

// Something overwrites a few bytes in the middle.
const file = openSync(join(directory, 'orders-0/00000000000000000000.log'), 'r+')
writeSync(file, 'oops', 400)

const { damage } = await EventLog.verify(directory)
for (const { reason, firstOffset, lastOffset } of damage) {
  console.log(`verify: ${reason}, offsets ${firstOffset} to ${lastOffset}`)
}
const planned = await EventLog.repair(directory, { dryRun: true })
console.log(
  `repair would keep ${planned.kept} records and remove ${planned.removed.length} stretch`,
)
const { kept } = await EventLog.repair(directory)
console.log(
  `repaired: ${kept} kept, ${(await EventLog.verify(directory)).sound ? 'sound' : 'not sound'}`,
)

const again = await EventLog.open(directory)
for (const { offset, value } of again.topic('orders').partition(0).records({ from: 3, to: 7 })) {
  console.log(offset, value?.toString())
}
await again.close()
rmSync(directory, { recursive: true })
