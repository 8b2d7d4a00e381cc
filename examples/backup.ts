/**
 * Backups: a copy that is taken while the log is used, brought up to date, looked into, restored,
 * and a topic as text.
 */
import { EventLog } from 'streambed'

const directory = process.env['STREAMBED_DIR'] ?? './data/backup'
const log = await EventLog.open(`${directory}/log`)
const visits = await log.createTopic('visits', { segmentBytes: 1024 })
for (let visit = 1; visit <= 50; visit++) await visits.send({ value: `visit ${visit}` })

const first = await log.backup(`${directory}/backup`)
console.log(`linked some: ${first.linked > 0}`)

await visits.send({ value: 'one more' })
const second = await log.backup(`${directory}/backup`)
console.log(`fewer files than before: ${second.files < first.files}`)

const { sound, records } = await EventLog.verify(`${directory}/backup`)
console.log(`${sound ? 'sound' : 'damaged'}, ${records} records`)

await EventLog.restore(`${directory}/backup`, `${directory}/restored`)
await using restored = await EventLog.open(`${directory}/restored`)
const [newest] = restored
  .topic('visits')
  .partition(0)
  .records({ from: { last: 1 } })
console.log(`restored up to: ${newest?.value?.toString()}`)

for await (const line of log.exportRecords('visits', { from: { last: 1 } })) {
  // A line is an object of one record.
  const { offset, value } = JSON.parse(line) as { offset: number; value: string }
  console.log(`as text: ${offset} ${value}`)
}
await log.close()
