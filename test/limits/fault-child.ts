/**
 * A process with a log, which may be the end of it: what it is to do comes line by line on its
 * standard input, and each line is answered by one on its standard output (fault-process.ts).
 */
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import {
  EventLog,
  LogError,
  type LogRecord,
  type Partition,
  type RecordStream,
} from '../../src/index.ts'
import { collectGarbage } from '../support/process-resources.ts'
import type { FaultAnswer, FaultStep } from './fault-process.ts'

const VALUE_BYTES = 900
const PAGE_BYTES = 4_096
const PROT_NONE = 0
const PROT_READ = 1
const MAP_PRIVATE_ANONYMOUS = 0x22

const [, , directory = ''] = process.argv
const warnings: string[] = []
const eaten: number[] = []
let pages: readonly unknown[] = []
let log: EventLog | undefined
let stream: RecordStream<LogRecord> | undefined

function partition(): Partition {
  if (log === undefined) throw new Error('no log is open')
  return log.topic('t').partition(0)
}

async function perform(step: FaultStep): Promise<unknown> {
  switch (step.does) {
    case 'open':
      log = await EventLog.open(directory, {
        ...step.options,
        onWarning: ({ code }) => void warnings.push(code),
      })
      return log.guarantees().reads
    case 'create':
      await log?.ensureTopic('t', { segmentBytes: 1_024 })
      return null
    case 'append': {
      const end = partition().logEndOffset
      const value = `v${end}`.padEnd(VALUE_BYTES, '.')
      return partition().append({ value }).baseOffset
    }
    case 'flush':
      return await partition().flush()
    case 'get':
      return partition().get(step.offset)?.value?.toString().replaceAll('.', '') ?? null
    case 'count':
      return [...partition().records()].length
    case 'next': {
      stream ??= partition().read({ live: true })
      const result: IteratorResult<LogRecord, unknown> = await stream.next()
      return result.done === true ? 'end' : result.value.offset
    }
    case 'end':
      return partition().logEndOffset
    case 'warnings':
      return warnings
    case 'eat descriptors':
      return eatDescriptors()
    case 'eat mappings':
      return eatMappings(step.butFor)
    case 'give back':
      for (const descriptor of eaten.splice(0)) closeSync(descriptor)
      return null
    case 'collect garbage':
      await collectGarbage()
      return null
    case 'close':
      await log?.close()
      return null
  }
}

/** Opens files until there is no descriptor left. */
function eatDescriptors(): number {
  try {
    for (;;) eaten.push(openSync('/dev/null', 'r'))
  } catch {
    return eaten.length
  }
}

/** Maps pages that the kernel cannot merge, until there is no mapping left but for so many. */
function eatMappings(butFor: number): number {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi // Its own types are not installed.
  const library = koffi.load(null)
  const types = ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']
  const map = library.func('mmap', 'void *', types)
  const unmap = library.func('munmap', 'int', ['void *', 'size_t'])
  const mapped: unknown[] = []
  for (;;) {
    const protection = mapped.length % 2 === 0 ? PROT_NONE : PROT_READ
    const page = map(null, PAGE_BYTES, protection, MAP_PRIVATE_ANONYMOUS, -1, 0)
    if (BigInt.asIntN(64, koffi.address(page)) <= 0n) break
    mapped.push(page)
  }
  for (const page of mapped.splice(mapped.length - butFor)) unmap(page, PAGE_BYTES)
  pages = mapped
  return pages.length
}

/** The calls of koffi's that are used here. */
interface Koffi {
  load(path: null): {
    func(name: string, result: string, types: readonly string[]): (...values: unknown[]) => unknown
  }
  address(pointer: unknown): bigint
}

async function answerTo(line: string): Promise<FaultAnswer> {
  try {
    return { value: await perform(JSON.parse(line) as FaultStep) } // fault-process.ts writes them.
  } catch (error) {
    if (!LogError.is(error)) throw error
    const { cause } = error
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : null
    return { code: error.code, cause: errno, message: error.message }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answerTo(line))}\n`)
}
