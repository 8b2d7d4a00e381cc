/**
 * Runs the tests of what differs between versions of Node with those that users have besides the one
 * here: what detaches memory, and what a view of it does afterwards, is the engine's business; what
 * the permission model refuses changes from one to the next.
 *
 * The binaries come from the npm package `node`, which fetches its platform package in a script;
 * with scripts off, that one is installed by name.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const VERSIONS = ['22', '24', '26']
const QUIET = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--silent']

const work = mkdtempSync(join(tmpdir(), 'streambed-nodes-'))
const checkout = new URL('../', import.meta.url).pathname
try {
  const nodes = VERSIONS.map(binaryOf)
  run(checkout, 'npx', ['vitest', 'run', 'test/stress', 'test/security/permission'], {
    ...process.env,
    STREAMBED_NODES: nodes.join(delimiter),
  })
} finally {
  rmSync(work, { recursive: true, force: true })
}

function binaryOf(wanted) {
  const project = join(work, wanted)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
  run(project, 'npm', ['install', `node@${wanted}`, ...QUIET], process.env)
  const { version } = JSON.parse(
    readFileSync(join(project, 'node_modules/node/package.json'), 'utf8'),
  )
  const platform = `node-${process.platform}-${process.arch}`
  run(project, 'npm', ['install', `${platform}@${version}`, ...QUIET], process.env)
  return join(project, 'node_modules', platform, 'bin', 'node')
}

function run(cwd, command, args, env) {
  console.log(`$ ${command} ${args.join(' ')}`)
  execFileSync(command, args, { cwd, env, stdio: 'inherit' })
}
