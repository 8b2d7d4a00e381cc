/**
 * How Stryker changes what scopes.mjs names; mutation/run.mjs starts it.
 *
 * Left alone, because no test of behaviour can tell:
 *   sentences   what an error or an assert says to people: tests check codes and details
 *   asserts     they hold as long as we make no mistake: what one lets pass shows elsewhere
 *   constants   of modules (`ignoreStatic`): each would take a run of every test
 */
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'
import { chosenScope } from './scopes.mjs'

const scope = chosenScope(process.env)

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'unobservable', {
    shouldIgnore(path) {
      if (path.isCallExpression() && path.node.callee.name === 'assert') return 'an assert'
      const text = path.isStringLiteral()
        ? path.node.value
        : path.isTemplateLiteral()
          ? path.node.quasis.map(({ value }) => value.raw).join('')
          : ''
      return text.includes(' ') ? 'words to people' : undefined
    },
  }),
]

export default {
  packageManager: 'npm',
  testRunner: 'in-process',
  plugins: ['./mutation/in-process-runner.mjs', './mutation/stryker.config.mjs'],
  ignorers: ['unobservable'],
  mutate: scope.files,
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  concurrency: 1,
  timeoutMS: 10_000,
  tempDirName: 'mutation/.stryker',
  ignorePatterns: ['dist', 'docs', 'bench', 'coverage', 'data', 'mutation/reports'],
  reporters: ['progress-append-only', 'clear-text', 'json'],
  clearTextReporter: { logTests: false, allowColor: false },
  jsonReporter: { fileName: `mutation/reports/${scope.name}.json` },
  thresholds: { high: 95, low: 90, break: 85 },
}
