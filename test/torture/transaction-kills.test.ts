/**
 * Kills of transactions: all or nothing and exactly once, whatever moment a process is killed at.
 *
 * STREAMBED_TRANSACTION_KILLS says how often; STREAMBED_SEED repeats the choices of a run, though
 * not where in its work the child is when the kill comes. A run that fails leaves its directory for
 * study.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { killTransactions } from './transaction-kills.ts'

const KILLS = budget.transactionKills

it(`transactions are all or nothing, moved records there once, in ${KILLS} kills, seed ${runSeed}`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-transaction-kills-'))
  const what = `killTransactions, STREAMBED_SEED=${runSeed}, ${directory}`
  const result = await killTransactions({ directory, seed: runSeed, kills: KILLS }).catch(
    (error: unknown) => {
      throw new Error(`${what}: ${String(error)}`, { cause: error })
    },
  )
  process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
  expect(result.committed).toBeGreaterThan(KILLS)
  expect(result.completed + result.undone).toBeGreaterThan(KILLS / 2)
  expect(result.moved).toBeGreaterThan(0)
  rmSync(directory, { recursive: true })
})
