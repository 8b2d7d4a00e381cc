/** A cluster of two workers that each take just the socket; prints what came of it, sorted. */
import cluster from 'node:cluster'
import { LogError } from '../../src/errors/log-error.ts'
import { acquireWriterLock } from '../../src/storage/writer-lock.ts'

const directory = process.argv[2] ?? ''

if (cluster.isPrimary) {
  const outcomes: string[] = []
  cluster.on('message', (_worker, outcome: string) => {
    if (outcomes.push(outcome) < 2) return
    process.stdout.write(
      JSON.stringify(outcomes.toSorted((one, other) => one.localeCompare(other))),
    )
    for (const worker of Object.values(cluster.workers ?? {})) worker?.kill('SIGKILL')
  })
  cluster.fork()
  cluster.fork()
} else {
  const outcome = await acquireWriterLock(directory, {
    lockTimeoutMs: 0,
    mechanisms: ['socket'],
    now: () => 1,
    monotonicNow: () => 0,
    wait: () => Promise.resolve(),
  }).then(
    () => 'open',
    (error: unknown) => (LogError.is(error) ? error.code : String(error)),
  )
  process.send?.(outcome)
}
