/**
 * How the tests run: two processes at a time, which is what the machines that check changes have.
 * Files of `unit`, `mmap` and `no-koffi` share a process with others, because loading the library
 * for each takes as long as what they test; every other file has one of its own. Projects, because
 * they differ in what they wait for:
 *   unit     one behaviour after another, in milliseconds
 *   replaced the same, where a test replaces modules of the library, or of Node
 *   mmap     the tests of logs once more, with all that is sealed read through mappings
 *   no-koffi the tests of logs and files once more, as on a machine without koffi
 *   package  what is built, written and published: compiles programs, runs snippets
 *   crash    child processes that are killed, lose power, are soaked, or that nothing may kill, as
 *            often or as long as test/support/budget.ts says, or whose costs are counted
 *   damage   stored logs that are damaged in every way, opened, verified and repaired, in memory
 *   simulation  the whole library under decided time, chance and faults (test/simulation)
 *   interop  runs Kafka itself; skipped where there is no Java (test/interop/toolchain.ts)
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { configDefaults, type ViteUserConfig } from 'vitest/config'
import { longestMs } from './test/support/budget.ts'

const PACKAGE_TESTS = ['test/*.test.ts', 'test/contract/**/*.test.ts']
const CRASH_TESTS = ['test/{costs,torture,stress,soak,limits}/**/*.test.ts']
const DAMAGE_TESTS = ['test/damage/**/*.test.ts']
const SIMULATION_TESTS = ['test/simulation/**/*.test.ts']
const INTEROP_TESTS = ['test/interop/**/*.test.ts']

/** These replace what the projects that read in another way replace. */
const OWN_READS = [
  'test/client/log-reads.test.ts',
  'test/client/read-only/{faults,opening,options}.test.ts',
  'test/storage/{disk-driver,mapp*}.test.ts',
]
/** Over a simulated disk, which is read in one way; what holds is not how that is read. */
const SIMULATED = ['test/client/transactions/**', 'test/client/housekeeping/model.test.ts']
/** Who gets which partition, and when: files are read by the sources that the others test. */
const MEMBERSHIP = ['test/client/groups/**']

/** What they replace, other files of their process would get too. */
const REPLACING_TESTS = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((path) => join('test', path))
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => /\bvi\.(?:mock|doMock)\(/.test(readFileSync(path, 'utf8')))

type Project = NonNullable<NonNullable<ViteUserConfig['test']>['projects']>[number]

/** `include` once more, read as test/support/reading-mode.ts says. */
function readingProject(name: string, include: readonly string[]): Project {
  return {
    extends: true,
    test: {
      name,
      isolate: false,
      include: [...include],
      exclude: [
        ...configDefaults.exclude,
        ...OWN_READS,
        ...SIMULATED,
        ...MEMBERSHIP,
        ...REPLACING_TESTS,
      ],
      setupFiles: ['test/support/property-runs.ts', 'test/support/reading-mode.ts'],
      env: { STREAMBED_TEST_READS: name },
      testTimeout: longestMs(20_000),
    },
  }
}

const config: ViteUserConfig = {
  test: {
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/support/property-runs.ts'],
    // What `npm run coverage` counts and how much of it the tests have to reach. What runs in child
    // processes is not seen, so the parts that only a kill or another process reaches are missing.
    coverage: {
      provider: 'v8',
      include: ['src/{format,storage,log}/**'],
      reporter: ['text', 'json-summary'],
      thresholds: {
        'src/format/**': { branches: 100, lines: 99 },
        'src/storage/**': { branches: 88, lines: 95 },
        'src/log/**': { branches: 80, lines: 90 },
      },
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: [
            ...configDefaults.exclude,
            ...REPLACING_TESTS,
            ...PACKAGE_TESTS,
            ...CRASH_TESTS,
            ...DAMAGE_TESTS,
            ...SIMULATION_TESTS,
            ...INTEROP_TESTS,
          ],
          testTimeout: longestMs(20_000),
        },
      },
      {
        extends: true,
        test: { name: 'replaced', include: REPLACING_TESTS, testTimeout: longestMs(20_000) },
      },
      readingProject('mmap', ['test/client/**/*.test.ts']),
      readingProject('no-koffi', ['test/{client,storage}/**/*.test.ts']),
      {
        extends: true,
        test: {
          name: 'package',
          include: PACKAGE_TESTS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'crash',
          include: CRASH_TESTS,
          testTimeout: longestMs(600_000),
          hookTimeout: longestMs(600_000),
        },
      },
      {
        extends: true,
        test: { name: 'damage', include: DAMAGE_TESTS, testTimeout: longestMs(600_000) },
      },
      {
        extends: true,
        // A night plays its seeds for hours.
        test: { name: 'simulation', include: SIMULATION_TESTS, testTimeout: 36_000_000 },
      },
      {
        extends: true,
        test: {
          name: 'interop',
          include: INTEROP_TESTS,
          globalSetup: ['test/interop/toolchain.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
}

export default config
