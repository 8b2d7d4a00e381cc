/**
 * Makes one file of a program and all that it imports from this checkout: node bundle.mjs from to.
 * Packages stay imports; names and the order of side effects stay what they are.
 */
import { rolldown } from 'rolldown'

const [input, file] = process.argv.slice(2)
const bundle = await rolldown({
  input,
  external: /^[^./]/,
  platform: 'node',
  treeshake: { moduleSideEffects: true },
  // It says what may be better in programs that are published.
  logLevel: 'silent',
})
await bundle.write({ file, codeSplitting: false })
await bundle.close()
