/**
 * Prints the counts of a vitest JSON report as one plain line, and fails where a test failed, a
 * file could not be run, or nothing ran at all: an empty run is not a green one.
 */
import { readFileSync } from 'node:fs'

const [path] = process.argv.slice(2)
const report = JSON.parse(readFileSync(path, 'utf8'))
const { numPassedTests: passed, numFailedTests: failed, numPendingTests, numTodoTests } = report
const skipped = numPendingTests + numTodoTests
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
if (!report.success || failed > 0 || passed === 0) process.exitCode = 1
