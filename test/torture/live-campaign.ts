/**
 * The readers' campaign: a writer that is killed again and again, four readers in processes of
 * their own and two in worker threads of the writer, over one directory. One of the processes is
 * slow, one is suspended now and then, one comes and goes and is killed as well. When the last
 * life of the writer has closed the log, live-judge.ts says what each of them saw that it must not
 * have, or did not see.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compileToPlainSource } from '../support/plain-source.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { readEvents, type ReaderNote, type WriterEvent } from './live-events.ts'
import { judge, settleByReaders, type Finding, type JudgedReader } from './live-judge.ts'
import { nameOf } from './live-records.ts'
import type { ReaderPlan } from './live-reader.ts'
import { LiveTruth } from './live-truth.ts'

const WRITER = fileURLToPath(new URL('live-writer-child.ts', import.meta.url))
const READER = fileURLToPath(new URL('live-reader-child.ts', import.meta.url))
const WORK_MS = 800
const STAYS_MS = 600
const FINISH_MS = 120_000

/** What one process of the writer does. */
export interface WriterLife {
  readonly directory: string
  readonly journal: string
  readonly number: number
  readonly seed: number
  /** By partition: where the last life found the end of its log. */
  readonly found: Readonly<Record<string, number>>
  readonly ends: 'kill' | 'close' | 'last'
  readonly workMs: number
  /** Readers that are threads of it. */
  readonly workers: readonly ReaderPlan[]
}

/** What one process of a reader does. */
export interface ReaderLife {
  readonly plan: ReaderPlan
  /** For how long at most it has the log open, before it opens it anew; null: for good. */
  readonly staysMs: number | null
}

/** What came of a campaign. */
export interface Campaign {
  readonly kills: number
  /** Records that were acknowledged, in all that topics ever had. */
  readonly acknowledged: number
  readonly partitions: number
  /** Records that each reader was given. */
  readonly seen: Readonly<Record<string, number>>
  readonly findings: readonly Finding[]
}

/** What a campaign is. */
export interface CampaignOptions {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}

/** See the file's header. Resolves also where something was wrong: `findings` has it. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const [writer, reader] = [compileToPlainSource(WRITER), compileToPlainSource(READER)]
  const children = new Set<Child>()
  try {
    await new LiveCampaign(options, { writer: writer.path, reader: reader.path }, children).run()
  } finally {
    for (const child of children) child.kill('SIGKILL')
    writer.remove()
    reader.remove()
  }
  return judgeCampaign(options)
}

type Child = ChildProcessWithoutNullStreams

class LiveCampaign {
  readonly #options: CampaignOptions
  readonly #programs: { readonly writer: string; readonly reader: string }
  readonly #children: Set<Child>
  readonly #random: SeededRandom
  readonly #readers = new Map<string, Child>()
  readonly #finished = new Set<string>()

  constructor(
    options: CampaignOptions,
    programs: { readonly writer: string; readonly reader: string },
    children: Set<Child>,
  ) {
    this.#options = options
    this.#programs = programs
    this.#children = children
    this.#random = new SeededRandom(options.seed)
  }

  async run(): Promise<void> {
    const { kills, directory } = this.#options
    mkdirSync(join(directory, 'data'), { recursive: true })
    for (const plan of readerPlans(this.#options)) this.#startReader(plan)
    let killed = 0
    for (let number = 1; killed < kills; number += 1) {
      if (this.#hasFailed) return // What it noted is judged.
      if (number % 7 === 0) await this.#close(number)
      else {
        await this.#kill(number)
        killed += 1
      }
      if (number % 3 === 0) await this.#restartReader()
      if (number % 4 === 0) void this.#suspendReader()
    }
    await this.#finish(kills * 2 + 1)
  }

  /** A reader ended by itself. */
  get #hasFailed(): boolean {
    return [...this.#readers.values()].some(({ exitCode }) => exitCode !== null)
  }

  /** Kills a life while it opens the log now and then, or while it works. */
  async #kill(number: number): Promise<void> {
    const child = this.#startWriter({ number, ends: 'kill' })
    const ended = once(child, 'exit')
    if (this.#random.below(5) === 0) await delay(this.#random.below(400))
    else await Promise.race([once(child.stdout, 'data'), ended])
    await delay(this.#random.below(WORK_MS))
    if (child.exitCode !== null) throw new Error(`writer ${number} ended with ${child.exitCode}`)
    child.kill('SIGKILL')
    await ended
  }

  async #close(number: number): Promise<void> {
    await this.#expectEnd(this.#startWriter({ number, ends: 'close' }), `writer ${number}`)
  }

  async #expectEnd(child: Child, what: string): Promise<void> {
    const timer = setTimeout(() => child.kill('SIGABRT'), FINISH_MS)
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    clearTimeout(timer)
    if (code !== 0) throw new Error(`${what} ended with ${code ?? signal}`)
  }

  /** All come to the end; then the log is closed, and each reads it once more. */
  async #finish(number: number): Promise<void> {
    const writer = this.#startWriter({ number, ends: 'last' })
    const writerEnds = this.#expectEnd(writer, 'the last writer')
    await Promise.race([said(writer, 'finished'), writerEnds])
    const targets: [string, number][] = []
    for (const event of readEvents<WriterEvent>(join(this.#options.directory, 'journal'))) {
      if (event.what === 'last') targets.push([nameOf(event), event.offset])
    }
    const readers = [...this.#readers]
    for (const [, child] of readers) child.kill('SIGCONT')
    const ends = readers.map(([name, child]) => this.#expectEnd(child, `reader ${name}`))
    await Promise.all(
      readers.map(async ([name, child], index) => {
        child.stdin.write(`${JSON.stringify(targets)}\n`)
        while (!this.#finished.has(name)) {
          await Promise.race([once(child.stdout, 'data'), ends[index]])
          if (child.exitCode !== null) return
        }
      }),
    )
    writer.stdin.write('close\n')
    await writerEnds
    for (const [, child] of readers) if (child.exitCode === null) child.stdin.write('closed\n')
    await Promise.all(ends)
  }

  #startWriter(life: Pick<WriterLife, 'number' | 'ends'>): Child {
    const { directory, seed } = this.#options
    const found: Record<string, number> = {}
    const journal = join(directory, 'journal')
    for (const event of readEvents<WriterEvent>(journal)) {
      if (event.what !== 'opened') continue
      for (const one of event.partitions) found[nameOf(one)] = one.end
    }
    const whole: WriterLife = {
      ...life,
      directory: join(directory, 'data'),
      journal,
      seed: (seed + life.number) >>> 0,
      found,
      workMs: this.#random.below(WORK_MS),
      workers: workerPlans(this.#options),
    }
    return this.#start(this.#programs.writer, whole)
  }

  #startReader(plan: ReaderPlan): void {
    const staysMs = plan.how === 'ranges' ? STAYS_MS : null
    const life: ReaderLife = { plan, staysMs }
    const child = this.#start(this.#programs.reader, life)
    child.stdout.on('data', (text: Buffer) => {
      if (String(text).includes('finished')) this.#finished.add(plan.name)
    })
    this.#readers.set(plan.name, child)
  }

  #start(program: string, life: WriterLife | ReaderLife): Child {
    const child = spawn(process.execPath, [program, JSON.stringify(life)])
    child.stderr.pipe(process.stderr)
    child.stdin.on('error', () => undefined) // It may be dead by then.
    this.#children.add(child)
    void once(child, 'exit').then(() => this.#children.delete(child))
    return child
  }

  /** The one that comes and goes is killed in whatever it does. */
  async #restartReader(): Promise<void> {
    const plan = readerPlans(this.#options).find(({ how }) => how === 'ranges')
    const child = plan === undefined ? undefined : this.#readers.get(plan.name)
    if (plan === undefined || child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    this.#startReader(plan)
  }

  async #suspendReader(): Promise<void> {
    const plan = readerPlans(this.#options).find(({ how }) => how === 'topics')
    const child = plan === undefined ? undefined : this.#readers.get(plan.name)
    child?.kill('SIGSTOP')
    await delay(this.#random.below(1_500))
    child?.kill('SIGCONT')
  }
}

async function said(child: Child, word: string): Promise<void> {
  let text = ''
  for await (const chunk of child.stdout) {
    text += String(chunk)
    if (text.includes(word)) return
  }
}

function readerPlans(options: CampaignOptions): readonly ReaderPlan[] {
  const plan = (name: string, rest: Partial<ReaderPlan>): ReaderPlan => planOf(options, name, rest)
  return [
    plan('committed', { hasTable: true }),
    plan('suspended', { how: 'topics', isolation: 'read_uncommitted' }),
    plan('durable', { visibility: 'durable', isSlow: true }),
    plan('coming', { how: 'ranges', isolation: 'read_uncommitted' }),
  ]
}

function workerPlans(options: CampaignOptions): readonly ReaderPlan[] {
  return [
    planOf(options, 'worker', { how: 'topics' }),
    planOf(options, 'worker-uncommitted', { isolation: 'read_uncommitted' }),
  ]
}

function planOf(
  { directory, seed }: CampaignOptions,
  name: string,
  rest: Partial<ReaderPlan>,
): ReaderPlan {
  return {
    name,
    directory: join(directory, 'data'),
    notes: join(directory, `${name}.notes`),
    seed: (seed + name.length) >>> 0,
    isolation: 'read_committed',
    visibility: 'written',
    how: 'partitions',
    isSlow: false,
    hasTable: false,
    ...rest,
  }
}

/** What the files of a campaign say. */
function judgeCampaign(options: CampaignOptions): Campaign {
  const truth = new LiveTruth()
  const { directory, kills } = options
  for (const event of readEvents<WriterEvent>(join(directory, 'journal'))) truth.hear(event)
  const readers = [...readerPlans(options), ...workerPlans(options)].map((plan): JudgedReader => {
    const { name, isolation, visibility } = plan
    const notes = readEvents<ReaderNote>(plan.notes)
    return { name, isolation, visibility, mustFinish: true, notes }
  })
  settleByReaders(truth, readers)
  const findings = readers.flatMap((reader) => judge(truth, reader))
  const seen = Object.fromEntries(readers.map(({ name, notes }) => [name, countOf(notes)]))
  let acknowledged = 0
  for (const { byOffset } of truth.partitions.values()) acknowledged += byOffset.size
  return { kills, acknowledged, partitions: truth.partitions.size, seen, findings }
}

function countOf(notes: readonly ReaderNote[]): number {
  let records = 0
  for (const note of notes) {
    if (note.what === 'saw') for (const [, , count] of note.runs) records += count
  }
  return records
}
