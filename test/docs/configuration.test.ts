/**
 * docs/configuration.md and the tables of options in README.md against the code that has them.
 * Where the first is out of date, `npm run docs:configuration` writes it anew.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { checkLogOptions } from '../../src/client/log-options.ts'
import { checkProducerOptions } from '../../src/client/producer-options.ts'
import { TOPIC_CONFIG_NAMES } from '../../src/log/log-config.ts'
import { CHECKOUT, readSources, walk } from '../support/source-text.ts'
import { configurationPage } from './configuration-page.ts'

const readme = readFileSync(join(CHECKOUT, 'README.md'), 'utf8')

/** The default that a row of one of README.md's tables gives for an option. */
function defaultInReadme(option: string): unknown {
  const row = readme.split('\n').findLast((line) => line.startsWith(`| \`${option}\` |`))
  const text = row?.split(/ (?<!\\)\| /)[2]?.trim() ?? ''
  return /^[\d,]+$/.test(text) ? Number(text.replaceAll(',', '')) : text.replace(/^`'(.*)'`$/, '$1')
}

describe('docs/configuration.md', () => {
  it('says of the settings what their table does', async () => {
    await expect(configurationPage()).toMatchFileSnapshot('../../docs/configuration.md')
  })

  it('has no setting that no code reads', () => {
    const elsewhere = readSources(['src']).filter(({ path }) => path !== 'src/log/log-config.ts')
    const read = new Set<string>()
    for (const { tree } of elsewhere) {
      walk(tree, (node) => {
        if (ts.isIdentifier(node)) read.add(node.text)
      })
    }
    expect(TOPIC_CONFIG_NAMES.filter((name) => !read.has(name))).toEqual([])
  })
})

describe('README.md', () => {
  it('counts the settings of a topic', () => {
    expect(readme).toContain(`[${TOPIC_CONFIG_NAMES.length} settings](docs/configuration.md)`)
  })

  it('gives the defaults of a producer', () => {
    const defaults = checkProducerOptions(undefined)
    for (const option of ['acks', 'lingerMs', 'batchBytes', 'bufferBytes', 'compression'] as const)
      expect(defaultInReadme(option), option).toBe(defaults[option])
  })

  it('gives the defaults of a log', () => {
    const { lockTimeoutMs, allowNetworkFs } = checkLogOptions(undefined, 'disk', 'a test')
    expect(defaultInReadme('lockTimeoutMs')).toBe(lockTimeoutMs)
    expect(defaultInReadme('allowNetworkFs')).toBe(String(allowNetworkFs))
  })
})
