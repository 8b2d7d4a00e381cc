/**
 * npm run mutation [-- scope …]
 *
 * Changes the code of each scope (scopes.mjs) in small ways and counts how many of the changes the
 * tests notice. Fails where it is fewer than 85 % of a scope, or than 75 % of a file. A file
 * takes from some seconds to some minutes of a core, the codecs the longest. Stryker is installed
 * beside this file first: npm ci --prefix mutation.
 *
 * Properties run few cases: a mutant that needs thousands is not one that tests are made for.
 * Those that nothing notices are looked through in README.md.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SCOPES } from './scopes.mjs'

const LEAST_OF_A_FILE = 75
const MEMORY_DISK = '/dev/shm'

const checkout = new URL('../', import.meta.url).pathname
const stryker = join(checkout, 'mutation/node_modules/.bin/stryker')
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SCOPES)

for (const name of names) {
  console.log(`==> mutants of ${name}`)
  const { status } = spawnSync(stryker, ['run', 'mutation/stryker.config.mjs'], {
    cwd: checkout,
    env: {
      ...process.env,
      FAST_CHECK_RUNS: '10',
      STREAMBED_MUTATE: name,
      TMPDIR: existsSync(MEMORY_DISK) ? MEMORY_DISK : tmpdir(), // No mutant is about the device.
    },
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
  for (const [file, { killed, total }] of scoresIn(name)) {
    const score = (100 * killed) / Math.max(total, 1)
    const isLow = total > 0 && score < LEAST_OF_A_FILE
    const counts = `${String(killed).padStart(5)} of ${String(total).padEnd(4)}`
    console.log(`${file.padEnd(44)} ${counts} ${score.toFixed(1)} %${isLow ? '  too few' : ''}`)
    if (isLow) process.exitCode = 1
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
    return [file, { killed, total: killed + count('Survived', 'NoCoverage') }]
  })
}
