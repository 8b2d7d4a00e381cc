/**
 * npm run bench [-- name …] [--quick] [--json] [--rounds n] [--dir directory]
 *
 *   name    questions or parts of their names; all of them where none is given
 *   --quick about a minute: 100 B values alone, fewer records and rounds
 *   --json  one document instead of tables
 *   --dir   where to write; the disk below it is what is measured
 *
 * Peers come with npm install --prefix bench; without them the others are measured.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { PEER_PACKAGES, versionOf } from './contestants/peer-packages.ts'
import { questions } from './questions.ts'
import { describeMachine, machineLines } from './runner/machine.ts'
import { caseReport } from './runner/report.ts'
import { answersTo, type Terms } from './runner/rounds.ts'
import { rowsOf } from './runner/statistics.ts'

const QUICK_ROUNDS = 2
const FULL_ROUNDS = 5

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
  },
})

const say = (line: string): void => {
  if (!values.json) console.log(line)
}
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`)
}

async function main(): Promise<void> {
  const asked = questions.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  )
  if (asked.length === 0) {
    throw new Error(
      `no question of that name; there are ${questions.map((q) => q.name).join(', ')}`,
    )
  }
  const roundCount = Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : FULL_ROUNDS))
  const machine = describeMachine(resolve(values.dir))
  for (const line of machineLines(machine)) say(line)
  const missing = PEER_PACKAGES.filter((name) => versionOf(name) === undefined)
  if (missing.length > 0) say(`missing  ${missing.join(', ')}: npm install --prefix bench`)
  say(`rounds   ${roundCount}, medians; ± is half of the way from the lowest to the highest`)
  const directory = mkdtempSync(join(machine.directory, 'streambed-bench-'))
  try {
    const results = []
    for (const question of asked) {
      const terms = { scale: { quick: values.quick }, roundCount, directory, progress }
      results.push(await answered(question, terms))
    }
    if (values.json) console.log(JSON.stringify({ machine, roundCount, results }, null, 2))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function answered(question: (typeof questions)[number], terms: Terms): Promise<unknown> {
  say(`\n${question.name}: ${question.asks}`)
  const cases = []
  for (const one of question.cases(terms.scale)) {
    const answers = await answersTo(question, one, terms)
    const rows = rowsOf(answers)
    progress('')
    for (const line of ['', ...caseReport(question, one.name, rows)]) say(line)
    cases.push({ name: one.name, rows, answers })
  }
  return { question: question.name, asks: question.asks, cases }
}

await main()
