/**
 * A process that opens the log in a directory, appends a record to each partition of a topic, says
 * so, and waits with the log open: to be killed.
 */
import { EventLog } from '../../src/index.ts'

const [directory = '', topic = ''] = process.argv.slice(2)
const log = await EventLog.open(directory, { onWarning: () => undefined })
for (const partition of log.topic(topic).partitions) partition.append({ value: 'before a kill' })
// What a kill leaves is told by the control file, published with the end of the turn.
setTimeout(() => process.stdout.write('appended\n'), 10)
process.stdin.resume() // A pipe that stays open keeps the process alive.
