/**
 * Runs the suites of the engine (`SUITES`) against the package as it would be published: the tarball
 * that is named, or one packed here, installed with scripts off, once with its optional packages and
 * once without any. Its own src/ takes the place of the checkout's, and what it imports is found among
 * the packages that were installed with it; of the checkout only tests and tools are used.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const TOOLS = ['vitest', 'vite', 'fast-check', 'typescript', 'rolldown', 'tsx', 'zod', '@types']
const OPTIONAL = ['koffi', '@node-rs/crc32', 'lz4-napi', 'snappy', '@bokuweb/zstd-wasm']
/**
 * What packages make a difference to is chosen below the client: all of it runs without them. Groups,
 * transactions, tables and backups read and write as these suites do, and run with every change in
 * the checkout, with and without koffi (vitest.config.ts).
 */
const WRITES_AND_READS = ['test/client/produc', 'test/client/read', 'test/client/record']
const SUITES = {
  'without-scripts': WRITES_AND_READS,
  'without-optional': [
    ...WRITES_AND_READS,
    ...['append', 'log-', 'sharing', 'retention', 'topic-'].map((name) => `test/client/${name}`),
    'test/storage',
  ],
}

const checkout = dirname(import.meta.dirname)
const work = mkdtempSync(join(tmpdir(), 'streambed-installed-'))
try {
  const tarball = process.argv[2] ?? packed()
  testInstalled(tarball, 'without-scripts', [])
  testInstalled(tarball, 'without-optional', ['--omit=optional'])
} finally {
  rmSync(work, { recursive: true, force: true })
}

function packed() {
  run(checkout, 'npm', 'pack', '--silent', '--pack-destination', work)
  return join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '')
}

function testInstalled(tarball, name, options) {
  const project = join(work, name)
  const packages = join(project, 'node_modules')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--silent']
  run(project, 'npm', 'install', tarball, ...quiet, ...options)
  const found = OPTIONAL.filter((optional) => existsSync(join(packages, optional)))
  const expected = options.length === 0 ? OPTIONAL : []
  if (found.join() !== expected.join()) throw new Error(`${name} has installed: ${found.join()}`)
  for (const entry of readdirSync(join(packages, 'streambed'))) {
    rmSync(join(project, entry), { recursive: true, force: true })
    renameSync(join(packages, 'streambed', entry), join(project, entry))
  }
  for (const entry of ['test', 'vitest.config.ts', 'tsconfig.json']) {
    cpSync(join(checkout, entry), join(project, entry), { recursive: true })
  }
  for (const tool of TOOLS) {
    symlinkSync(join(checkout, 'node_modules', tool), join(packages, tool))
  }
  const vitest = join(checkout, 'node_modules/vitest/vitest.mjs')
  const projects = ['--project', 'unit', '--project', 'replaced']
  run(project, process.execPath, vitest, 'run', ...projects, ...SUITES[name])
}

function run(cwd, command, ...args) {
  console.log(`$ ${command} ${args.join(' ')}`)
  execFileSync(command, args, { cwd, stdio: 'inherit' })
}
