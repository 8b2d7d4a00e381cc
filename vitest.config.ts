/**
 * How the tests run: every file in a process of its own, two at a time, which is what the machines
 * that check changes have. Four projects, because they differ in what they wait for:
 *   unit     one behaviour after another, in milliseconds
 *   package  what is built, written and published: compiles programs, runs snippets
 *   crash    kills child processes, as often as test/support/budget.ts says
 *   interop  runs Kafka itself; skipped where there is no Java (test/interop/toolchain.ts)
 */
import { configDefaults, type ViteUserConfig } from 'vitest/config'

const PACKAGE_TESTS = ['test/*.test.ts', 'test/contract/**/*.test.ts']
const CRASH_TESTS = ['test/crash/**/*.test.ts']
const INTEROP_TESTS = ['test/interop/**/*.test.ts']

const config: ViteUserConfig = {
  test: {
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/support/property-runs.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...PACKAGE_TESTS, ...CRASH_TESTS, ...INTEROP_TESTS],
          testTimeout: 20_000,
        },
      },
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
        test: { name: 'crash', include: CRASH_TESTS, testTimeout: 600_000 },
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
