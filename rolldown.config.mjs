/**
 * How src/ becomes the JavaScript of the package (docs/decisions/115): an entry point each for
 * programs and for their tests, and one file with all that both use, so that there is one of every
 * class. Whatever is not ours stays an import. Names stay, lines stay lines, and the maps lead to
 * the src/ that is published beside it. The declarations come from tsc.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'rolldown'

export default defineConfig({
  input: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts' },
  external: /^[^./]/,
  platform: 'node',
  tsconfig: 'tsconfig.build.json',
  output: {
    dir: 'dist',
    chunkFileNames: 'streambed.js',
    comments: { annotation: true, jsdoc: false, legal: false },
    sourcemap: true,
    sourcemapExcludeSources: true,
  },
  plugins: [{ name: 'nothing-of-earlier-builds', writeBundle: removeOthers }],
})

/** Code of earlier builds would be published, and measured, with that of this one. */
function removeOthers({ dir }, written) {
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    if (/\.js(?:\.map)?$/.test(name) && !(name in written)) rmSync(join(dir, name))
  }
}
