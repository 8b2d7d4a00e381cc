/**
 * A process that opens the log in the directory it is given, fills it, prints what it appended as
 * JSON, and then waits with the log open: to be killed.
 */
import { EventLog } from '../../src/index.ts'
import { writeSampleLog } from './sample-log.ts'

const log = await EventLog.open(process.argv[2] ?? '')
process.stdout.write(`${JSON.stringify(await writeSampleLog(log))}\n`)
process.stdin.resume() // A pipe that stays open keeps the process alive.
