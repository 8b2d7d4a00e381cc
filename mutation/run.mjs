/**
 * npm run mutation [-- scope …]
 *
 * Changes the code of each scope (scopes.mjs) in small ways and counts how many of the changes the
 * tests notice; fails where it is fewer than 85 %. Takes hours. Stryker is installed beside this
 * file first: npm ci --prefix mutation.
 *
 * Properties run few cases: a mutant that needs thousands is not one that tests are made for.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCOPES } from './scopes.mjs'

const checkout = new URL('../', import.meta.url).pathname
const stryker = join(checkout, 'mutation/node_modules/.bin/stryker')
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SCOPES)

for (const name of names) {
  console.log(`==> mutants of ${name}`)
  const { status } = spawnSync(stryker, ['run', 'mutation/stryker.config.mjs'], {
    cwd: checkout,
    env: { ...process.env, FAST_CHECK_RUNS: '25', STREAMBED_MUTATE: name },
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
  for (const [file, { score, killed, total }] of scoresIn(name)) {
    console.log(`${file.padEnd(44)} ${String(killed).padStart(5)} of ${total}  ${score} %`)
  }
}

/** By file: mutants that were noticed, of those that could be. */
function scoresIn(name) {
  const { files } = JSON.parse(
    readFileSync(join(checkout, `mutation/reports/${name}.json`), 'utf8'),
  )
  return Object.entries(files).map(([file, { mutants }]) => {
    const count = (...states) => mutants.filter(({ status }) => states.includes(status)).length
    const killed = count('Killed', 'Timeout')
    const total = killed + count('Survived', 'NoCoverage')
    return [file, { killed, total, score: ((100 * killed) / Math.max(total, 1)).toFixed(1) }]
  })
}
