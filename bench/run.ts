/**
 * Asks the questions of the suite and prints what came out; `npm run bench -- --help` says how.
 * Each measurement is a contestant's own process; peers come from bench/'s own package.json.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { PEER_PACKAGES, versionOf } from './contestants/peer-packages.ts'
import { questions } from './questions.ts'
import { reasonOf } from './runner/failure.ts'
import { describeMachine, machineLines } from './runner/machine.ts'
import { caseReport } from './runner/report.ts'
import { saveRun, type CaseResult, type QuestionResult, type Run } from './runner/results.ts'
import { answersTo, type Terms } from './runner/rounds.ts'

const QUICK_ROUNDS = 3
const FULL_ROUNDS = 5
const RESULTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'results')

const USAGE = `npm run bench [-- name ... options]

  name        questions or parts of their names; all of them where none is given
  --quick     minutes instead of hours: 100 B values alone, fewer records and rounds
  --rounds n  ${FULL_ROUNDS} where nothing is said, ${QUICK_ROUNDS} with --quick
  --save      keeps the results below bench/results, after each question; npm run bench:report then
              makes docs/benchmarks.md of all that are there
  --json      one document instead of tables
  --dir d     where to write; the disk below it is what is measured
  --help      this, and the names

Peers come with npm install --prefix bench; without them the others are measured. A question that
fails keeps nobody from the others: it is reported, and the exit code is 1.
`

const OPTIONS = {
  help: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  save: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  dir: { type: 'string', default: tmpdir() },
} as const

const { values, positionals } = asked()

const say = (line: string): void => {
  if (!values.json) console.log(line)
}
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`)
}

/** What the command line says; where that is not to be understood, what it may say. */
function asked() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(`${USAGE}\n${questions.map(({ name, asks }) => `${name}: ${asks}`).join('\n')}`)
    return
  }
  const chosen = questions.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  )
  if (chosen.length === 0) {
    throw new Error(
      `no question of that name; there are ${questions.map((q) => q.name).join(', ')}`,
    )
  }
  const roundCount = Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : FULL_ROUNDS))
  const { directory: parent, ...machine } = describeMachine(resolve(values.dir))
  for (const line of machineLines(machine)) say(line)
  const missing = PEER_PACKAGES.filter((name) => versionOf(name) === undefined)
  if (missing.length > 0) say(`missing  ${missing.join(', ')}: npm install --prefix bench`)
  say(`rounds   ${roundCount}, medians; ± is half of the way from the lowest to the highest`)
  const directory = mkdtempSync(join(parent, 'streambed-bench-'))
  const scale = values.quick ? 'quick' : 'full'
  const conditions = { startedAt: new Date().toISOString(), scale, roundCount, machine } as const
  const results: QuestionResult[] = []
  const run: Run = { ...conditions, results }
  try {
    for (const question of chosen) {
      const terms = { scale: { quick: values.quick }, roundCount, directory, progress }
      results.push(await answered(question, terms))
      if (values.save) saveRun(run, RESULTS)
    }
    if (values.json) console.log(JSON.stringify(run, null, 2))
    if (results.some(hasFailed)) process.exitCode = 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function answered(
  question: (typeof questions)[number],
  terms: Terms,
): Promise<QuestionResult> {
  const { name, asks, answer } = question
  say(`\n${name}: ${asks}`)
  const cases: CaseResult[] = []
  try {
    for (const one of question.cases(terms.scale)) {
      const answers = await answersTo(question, one, terms)
      progress('')
      for (const line of ['', ...caseReport(question, one.name, answers)]) say(line)
      cases.push({ name: one.name, answers })
    }
    return { question: name, asks, answer, cases }
  } catch (error) {
    const failed = reasonOf(error, terms.directory)
    say(`  failed: ${failed}`)
    return { question: name, asks, answer, cases, failed }
  }
}

function hasFailed({ failed, cases }: QuestionResult): boolean {
  return failed !== undefined || cases.some(({ answers }) => answers.some((one) => one.failed))
}

await main()
