/**
 * Logs that are much larger than what their process may take of the machine. Each is written,
 * opened again after a clean close and after a kill, and read by processes of their own, which say
 * what they held (limit-child.ts). Sizes are those of test/support/budget.ts: a night has larger
 * ones. What was measured is printed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { canCountResources } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { LimitReport, LimitTask } from './limit-report.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('limit-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

const DESCRIPTORS = 256
/** What a process takes besides files of the log: its own, and the engine's threads. */
const OTHER_DESCRIPTORS = 40
const HEAP_MEBIBYTES = 256
const MEBIBYTE = 1_048_576
/** Of heap and buffers together, whatever the size of the log. */
const MEMORY_BYTES = 256 * MEBIBYTE
const LARGE_RECORD_BYTES = 10_240
const HOURS = 4 * 3_600_000

interface Limits {
  readonly descriptors?: number
  readonly heapMebibytes?: number
}

describe.skipIf(!canCountResources)(
  `${budget.limitSegments} segments in a process that may open ${DESCRIPTORS} files`,
  () => {
    const limits = { descriptors: DESCRIPTORS }
    const count = budget.limitSegments

    it.each(['close', 'kill'] as const)(
      'are written, opened again after a %s, and read, with half of the descriptors',
      async (end) => {
        const directory = join(temporaryDirectory(), 'log')
        const log = 'segments'
        const written = await run({ directory, does: 'write', log, count, end }, limits)
        const read = await run({ directory, does: 'read', log, count, end: 'close' }, limits)
        for (const { descriptorLimit, descriptors } of [written, read]) {
          expect(descriptorLimit).toBe(DESCRIPTORS)
          expect(descriptors).toBeLessThan(DESCRIPTORS / 2 + OTHER_DESCRIPTORS)
        }
        expect(read).toMatchObject({ clean: end === 'close', records: count, wrong: null })
      },
      HOURS,
    )
  },
)

describe.skipIf(!canCountResources)(
  `${budget.limitMebibytes} MiB in a process with ${HEAP_MEBIBYTES} MiB of heap`,
  () => {
    const limits = { heapMebibytes: HEAP_MEBIBYTES }
    const count = Math.ceil((budget.limitMebibytes * MEBIBYTE) / LARGE_RECORD_BYTES)

    it.each(['close', 'kill'] as const)(
      'are written, opened again after a %s, and read, in the same memory as few',
      async (end) => {
        const directory = join(temporaryDirectory(), 'log')
        const log = 'bytes'
        const written = await run({ directory, does: 'write', log, count, end }, limits)
        const read = await run({ directory, does: 'read', log, count, end: 'close' }, limits)
        for (const { memoryBytes } of [written, read])
          expect(memoryBytes).toBeLessThan(MEMORY_BYTES)
        expect(read).toMatchObject({ clean: end === 'close', records: count, wrong: null })
      },
      HOURS,
    )

    it.each([
      ['a live reader', 'lag'],
      ['a group', 'group'],
    ] as const)(
      'behind which %s is, cost it no memory, and it gets them all',
      async (_who, does) => {
        const directory = join(temporaryDirectory(), 'log')
        const lagged = await run({ directory, does, log: 'bytes', count, end: 'close' }, limits)
        expect(lagged).toMatchObject({ records: count, wrong: null })
        expect(lagged.memoryBytes).toBeLessThan(MEMORY_BYTES)
      },
      HOURS,
    )
  },
)

describe.skipIf(!canCountResources)(
  `${budget.limitTopics} topics in a process that may open ${DESCRIPTORS} files`,
  () => {
    const limits = { descriptors: DESCRIPTORS, heapMebibytes: HEAP_MEBIBYTES }
    const count = budget.limitTopics

    it(
      'are made, opened again after a kill and after a close, and read',
      async () => {
        const directory = join(temporaryDirectory(), 'log')
        const log = 'topics'
        const written = await run({ directory, does: 'write', log, count, end: 'kill' }, limits)
        const killed = await run({ directory, does: 'read', log, count, end: 'close' }, limits)
        const closed = await run({ directory, does: 'read', log, count, end: 'close' }, limits)
        for (const { descriptors, memoryBytes } of [written, killed, closed]) {
          expect(descriptors).toBeLessThan(DESCRIPTORS / 2 + OTHER_DESCRIPTORS)
          expect(memoryBytes).toBeLessThan(MEMORY_BYTES)
        }
        expect(killed).toMatchObject({ clean: false, records: count, wrong: null })
        expect(closed).toMatchObject({ clean: true, records: count, wrong: null })
      },
      HOURS,
    )
  },
)

async function run(task: LimitTask, limits: Limits): Promise<LimitReport> {
  const heap = limits.heapMebibytes ?? 0
  const options = heap === 0 ? '' : `--max-old-space-size=${heap}`
  const bound = limits.descriptors === undefined ? '' : `ulimit -n ${limits.descriptors}; `
  const command = `${bound}exec "$0" ${options} "$1" "$2"`
  const begunMs = performance.now()
  const child = spawn('bash', ['-c', command, process.execPath, CHILD.path, JSON.stringify(task)])
  const ended = once(child, 'exit')
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code, signal] = (await ended) as [number | null, string | null] // as its event gives them
  const isExpected = task.end === 'kill' ? signal === 'SIGKILL' : code === 0
  if (!isExpected) throw new Error(`${JSON.stringify(task)}: ended by ${signal ?? code}\n${errors}`)
  const report = JSON.parse(output) as LimitReport // one line, which the child printed
  const { does, log, count } = task
  const seconds = ((performance.now() - begunMs) / 1_000).toFixed(1)
  const mebibytes = Math.round(report.memoryBytes / MEBIBYTE)
  process.stdout.write(
    `limits: ${does} ${log} ${count}, ${task.end}: ${seconds} s, open ${report.openMs} ms, ` +
      `${mebibytes} MiB, ${report.descriptors} descriptors\n`,
  )
  return report
}
