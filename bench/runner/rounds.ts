/**
 * Rounds: each round measures every contestant of a case once, each in a fresh process and, unless
 * it reads a store, a fresh directory; who comes first moves on from round to round. So whatever
 * slows the machine down for a while slows all of them, and ratios within a round stay true.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { versionOf } from '../contestants/peer-packages.ts'
import type { Case, Contestant, Measurement, Question, Role, Scale, Store } from './question.ts'

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

const MEASURE = join(fileURLToPath(import.meta.url), '..', '..', 'measure.js')
const run = promisify(execFile)

/** Measures one case, all rounds of it, with the contestants that are there. */
export async function answersTo(
  question: Question,
  asked: Case,
  terms: Terms,
): Promise<readonly Answer[]> {
  const contestants = asked.contestants.filter(
    ({ needs }) => needs === undefined || versionOf(needs) !== undefined,
  )
  const errandOf = (contestant: Contestant, directory: string, fill: boolean): Errand => ({
    question: question.name,
    case: asked.name,
    contestant: contestant.name,
    directory,
    quick: terms.scale.quick,
    fill,
  })
  const stores = new Map<string, string>()
  try {
    for (const contestant of contestants) {
      const { store } = contestant
      if (store === undefined || stores.has(store.name)) continue
      terms.progress(`${question.name}: ${asked.name}: filling ${store.name}`)
      const directory = storeDirectory(terms.directory, store)
      stores.set(store.name, directory)
      await sendOn(errandOf(contestant, directory, true))
    }
    const rounds = contestants.map((): Measurement[] => [])
    for (let round = 0; round < terms.roundCount; round += 1) {
      for (let place = 0; place < contestants.length; place += 1) {
        const index = (place + round) % contestants.length
        const contestant = contestants[index]
        if (contestant === undefined) continue
        const about = `round ${round + 1} of ${terms.roundCount}, ${contestant.name}`
        terms.progress(`${question.name}: ${asked.name}: ${about}`)
        const measured = await inDirectory(terms.directory, contestant, stores, (directory) =>
          sendOn(errandOf(contestant, directory, false)),
        )
        rounds[index]?.push(JSON.parse(measured) as Measurement) // Printed by measure.ts.
      }
    }
    return contestants.map(({ name, role }, index) => ({ name, role, rounds: rounds[index] ?? [] }))
  } finally {
    for (const directory of stores.values()) rmSync(directory, { recursive: true, force: true })
  }
}

function storeDirectory(parent: string, store: Store): string {
  const directory = join(parent, store.name)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  return directory
}

async function inDirectory<T>(
  parent: string,
  { store }: Contestant,
  stores: ReadonlyMap<string, string>,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const kept = store === undefined ? undefined : stores.get(store.name)
  if (kept !== undefined) return work(kept)
  const fresh = mkdtempSync(join(parent, 'fresh-'))
  try {
    return await work(fresh)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** What the process printed. It fails where the process does, with what that said. */
async function sendOn(errand: Errand): Promise<string> {
  const { stdout } = await run(process.execPath, [MEASURE, JSON.stringify(errand)])
  return stdout
}
