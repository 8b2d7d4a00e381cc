/**
 * Checks the package as it would be published: the tarball that is named, or one packed here, then
 *   publint and attw look at the tarball: entry points, files, types for ES modules;
 *   a stranger's project installs it with scripts off, with and without its optional packages,
 *   and runs installed-program.mjs, which appends and reads.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const work = mkdtempSync(join(tmpdir(), 'streambed-package-'))
const checkout = new URL('../', import.meta.url).pathname
try {
  const tarball = process.argv[2] ?? packed()
  run(checkout, 'npx', 'publint', 'run', tarball, '--strict')
  run(checkout, 'npx', 'attw', tarball, '--profile', 'esm-only', '--no-emoji')
  useInstalled(tarball, 'with-optional', [])
  useInstalled(tarball, 'without-optional', ['--omit=optional'])
} finally {
  rmSync(work, { recursive: true, force: true })
}

function packed() {
  run(checkout, 'npm', 'pack', '--silent', '--pack-destination', work)
  return join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '')
}

function useInstalled(tarball, name, options) {
  const project = join(work, name)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--silent']
  run(project, 'npm', 'install', tarball, ...quiet, ...options)
  copyFileSync(join(checkout, '.ci/installed-program.mjs'), join(project, 'program.mjs'))
  run(project, process.execPath, 'program.mjs', name)
}

function run(cwd, command, ...args) {
  console.log(`$ ${command} ${args.join(' ')}`)
  execFileSync(command, args, { cwd, stdio: 'inherit' })
}
