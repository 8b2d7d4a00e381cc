/**
 * A process of its own beside the test's, for processes.test.ts. The first argument says what it
 * does, the second is the directory. What it has to say goes to standard output, line by line.
 */
import { EventLog } from '../../../src/index.ts' // All of it: a program of the contract has it too.

const [, , what = '', directory = ''] = process.argv

async function run(): Promise<void> {
  switch (what) {
    case 'tails': {
      const log = await EventLog.open(directory, { readOnly: true })
      process.once('SIGTERM', () => void log.close())
      say('open')
      const read = log.topic('t').read({ live: true, isolation: 'read_committed' })
      for await (const { offset, value } of read) say(`${offset} ${value?.toString()}`)
      say('closed')
      return
    }
    case 'looks': {
      const log = await EventLog.open(directory, { readOnly: true })
      const topic = log.topic('t')
      const values: string[] = []
      for await (const { value } of topic.read()) values.push(String(value))
      const { total } = log.consumerGroup('g').lag()
      const { sound, damage } = await log.scrub()
      const counted = await topic.countRecords()
      const segments = topic.partition(0).why().length
      const { bytes } = log.describe()
      const { size } = await topic.table()
      say(JSON.stringify({ values, total, sound, damage, counted, segments, bytes, size }))
      await log.close()
      return
    }
    case 'idles': {
      const log = await EventLog.open(directory, { readOnly: true })
      const read = log.topic('t').read({ live: true })
      await read.next()
      process.once('exit', () => say('ended'))
      return
    }
    case 'writes': {
      const log = await EventLog.open(directory, { fileMode: 0o644, directoryMode: 0o755 })
      const topic = await log.ensureTopic('t', { segmentBytes: 4_096 })
      for (let n = 0; n < 100; n += 1) topic.partition(0).append({ value: `v${n}` })
      process.stdin.resume() // Until it is killed.
      say('written')
      return
    }
    default:
      throw new Error(`no such program: ${what}`)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

await run()
