/**
 * A writer that is killed as soon as the last of its records was acknowledged: it sends itself
 * SIGKILL in the same turn, with everything open. Started by peer-durability.ts, which then counts
 * what is left.
 */
import { peerWriters, type KilledErrand } from './contestants/peer-writers.ts'
import { Dataset } from './runner/dataset.ts'

const errand = JSON.parse(process.argv[2] ?? '{}') as KilledErrand // Written by peer-durability.ts.
const writer = peerWriters.find(({ name }) => name === errand.writer)
if (writer === undefined) throw new Error(`nobody writes as ${errand.writer}`)
const append = await writer.open(errand.directory, new Dataset(errand.valueBytes))
for (let index = 0; index < errand.recordCount; index += 1) await append(index)
process.kill(process.pid, 'SIGKILL')
