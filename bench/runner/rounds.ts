/**
 * Rounds: each round measures every contestant of a case once, each in a fresh process and, unless
 * it reads a store, a fresh directory; who comes first moves on from round to round. So whatever
 * slows the machine down for a while slows all of them, and ratios within a round stay true.
 *
 * A contestant that fails, or does not end, is out: what it measured before is kept, and the others
 * go on.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { versionOf } from '../contestants/peer-packages.ts'
import type { Case, Contestant, Measurement, Question, Role, Scale, Store } from './question.ts'
import { reasonOf } from './failure.ts'

/** What one process is asked to do. */
export interface Errand {
  readonly question: string
  readonly case: string
  readonly contestant: string
  readonly directory: string
  readonly quick: boolean
  /** Fills the contestant's store instead of measuring. */
  readonly fill: boolean
}

/** What a contestant measured, round by round. */
export interface Answer {
  readonly name: string
  readonly role: Role
  readonly rounds: readonly Measurement[]
  /** Why it was out before the last round. */
  readonly failed?: string
}

/** How a case is measured. */
export interface Terms {
  readonly scale: Scale
  readonly roundCount: number
  /** An existing directory, on the disk that is to be measured. */
  readonly directory: string
  /** Told what is being done, in a few words. */
  readonly progress: (text: string) => void
}

/** Starts a process for an errand and gives what it printed. */
export type Sender = (errand: Errand) => Promise<string>

const MEASURE = join(fileURLToPath(import.meta.url), '..', '..', 'measure.js')
/** Nothing that is measured takes as long. */
const PATIENCE_MS = { quick: 300_000, full: 3_600_000 }
const run = promisify(execFile)

/** Measures one case, all rounds of it, with the contestants that are there. */
export async function answersTo(
  question: Question,
  asked: Case,
  terms: Terms,
  send: Sender = sendOn,
): Promise<readonly Answer[]> {
  const isThere = ({ needs }: Contestant): boolean =>
    needs === undefined || versionOf(needs) !== undefined
  const race = new Race(question, asked, terms, send)
  return race.answers(asked.contestants.filter(isThere))
}

/** One case while it is measured. */
class Race {
  readonly #question: Question
  readonly #case: Case
  readonly #terms: Terms
  readonly #send: Sender
  /** Directories of stores, by their names. */
  readonly #stores = new Map<string, string>()
  readonly #failures = new Map<Contestant, string>()

  constructor(question: Question, asked: Case, terms: Terms, send: Sender) {
    this.#question = question
    this.#case = asked
    this.#terms = terms
    this.#send = send
  }

  async answers(contestants: readonly Contestant[]): Promise<readonly Answer[]> {
    const rounds = contestants.map((): Measurement[] => [])
    try {
      for (const contestant of contestants) await this.#fill(contestant)
      for (let round = 0; round < this.#terms.roundCount; round += 1) {
        for (let place = 0; place < contestants.length; place += 1) {
          const index = (place + round) % contestants.length
          const contestant = contestants[index]
          if (contestant === undefined || this.#failures.has(contestant)) continue
          this.#say(`round ${round + 1} of ${this.#terms.roundCount}, ${contestant.name}`)
          await this.#orOut(contestant, async () => {
            rounds[index]?.push(await this.#measure(contestant))
          })
        }
      }
    } finally {
      for (const at of this.#stores.values()) rmSync(at, { recursive: true, force: true })
    }
    return contestants.map((contestant, index) => {
      const { name, role } = contestant
      const failed = this.#failures.get(contestant)
      const answer = { name, role, rounds: rounds[index] ?? [] }
      return failed === undefined ? answer : { ...answer, failed }
    })
  }

  /** Fills the store that a contestant reads, unless another one had it filled. */
  async #fill(contestant: Contestant): Promise<void> {
    const { store } = contestant
    if (store === undefined || this.#stores.has(store.name)) return
    this.#say(`filling ${store.name}`)
    const directory = storeDirectory(this.#terms.directory, store)
    await this.#orOut(contestant, async () => {
      await this.#send(this.#errandOf(contestant, directory, true))
      this.#stores.set(store.name, directory)
    })
    // Whoever reads the same store then finds none, and fills it.
    if (!this.#stores.has(store.name)) rmSync(directory, { recursive: true, force: true })
  }

  async #measure(contestant: Contestant): Promise<Measurement> {
    const { store } = contestant
    const kept = store === undefined ? undefined : this.#stores.get(store.name)
    const directory = kept ?? mkdtempSync(join(this.#terms.directory, 'fresh-'))
    try {
      const printed = await this.#send(this.#errandOf(contestant, directory, false))
      // Packages print what they like; the last line is measure.ts's, which prints a measurement.
      return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '') as Measurement
    } finally {
      if (kept === undefined) rmSync(directory, { recursive: true, force: true })
    }
  }

  async #orOut(contestant: Contestant, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const reason = reasonOf(error, this.#terms.directory)
      this.#failures.set(contestant, reason)
      this.#say(`${contestant.name} is out: ${reason}`)
    }
  }

  #errandOf(contestant: Contestant, directory: string, fill: boolean): Errand {
    return {
      question: this.#question.name,
      case: this.#case.name,
      contestant: contestant.name,
      directory,
      quick: this.#terms.scale.quick,
      fill,
    }
  }

  #say(what: string): void {
    this.#terms.progress(`${this.#question.name}: ${this.#case.name}: ${what}`)
  }
}

function storeDirectory(parent: string, store: Store): string {
  const directory = join(parent, store.name)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  return directory
}

/** What the process printed. It fails where the process does, with what that said. */
async function sendOn(errand: Errand): Promise<string> {
  const timeout = errand.quick ? PATIENCE_MS.quick : PATIENCE_MS.full
  const options = { timeout, killSignal: 'SIGKILL' } as const
  const { stdout } = await run(process.execPath, [MEASURE, JSON.stringify(errand)], options)
  return stdout
}
