/**
 * Known vulnerabilities in what users install. A registry that gives no answer is not a finding:
 * it is said, and nothing fails for it.
 */
import { spawnSync } from 'node:child_process'

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' })
const found = countsOf(stdout)
if (found === undefined) {
  console.log(
    'the registry does not answer audits: not checked. What is installed has the bytes that ' +
      'package-lock.json names (test/security/source.test.ts)',
  )
} else if (found.total > 0) {
  console.error(JSON.stringify(found))
  process.exitCode = 1
} else {
  console.log('no known vulnerabilities')
}

function countsOf(text) {
  try {
    return JSON.parse(text).metadata?.vulnerabilities
  } catch {
    return undefined
  }
}
