/**
 * A process under Node's permission model that uses a log as an application does, and tells what it
 * saw in one line of JSON. Its arguments: the directory, and how it ends ('close' or 'kill').
 */
import { LogError } from '../../src/errors/log-error.ts'
import { EventLog } from '../../src/index.ts'

/** What one run of the child saw. */
export interface PermissionReport {
  /** Records found at the open. */
  readonly found: number
  /** First and last value found. */
  readonly ends: readonly (string | null)[]
  readonly clean: boolean
  readonly guarantees: ReturnType<EventLog['guarantees']>
  readonly warnings: readonly string[]
}

/** How an open was refused. */
export interface PermissionRefusal {
  readonly code: string
  readonly message: string
}

/** Enough to roll: segments of 16 KiB. */
const RECORDS = 300

const [directory = '', end = 'close'] = process.argv.slice(2)
try {
  const report = await run()
  process.stdout.write(`${JSON.stringify(report)}\n`)
  if (end === 'kill') process.kill(process.pid, 'SIGKILL')
} catch (error) {
  if (!LogError.is(error)) throw error
  const refusal: PermissionRefusal = { code: error.code, message: error.message }
  process.stdout.write(`${JSON.stringify(refusal)}\n`)
}

async function run(): Promise<PermissionReport> {
  const warnings: string[] = []
  const log = await EventLog.open(directory, {
    onWarning: ({ code }) => void warnings.push(code),
  })
  const topic = await log.ensureTopic('orders', { segmentBytes: 16_384 })
  const found: (string | null)[] = []
  for (const { value } of topic.partition(0).records())
    found.push(value?.toString().trimEnd() ?? null)
  const more = Array.from({ length: RECORDS }, (_, index) => ({
    value: `${found.length + index}${' '.repeat(100)}`,
  }))
  for (const record of more.slice(0, 3)) await topic.send(record) // Each with a sync of its own.
  await topic.sendAll(more.slice(3))
  await log.ensureTopic('short-lived')
  await log.deleteTopic('short-lived')
  const report: PermissionReport = {
    found: found.length,
    ends: [found.at(0) ?? null, found.at(-1) ?? null],
    clean: log.recovery.clean,
    guarantees: log.guarantees(),
    warnings,
  }
  if (end === 'close') await log.close()
  return report
}
