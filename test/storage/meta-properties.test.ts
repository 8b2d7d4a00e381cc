/** meta.properties: as brokers write it, as we do, and what is kept. */

import { describe, expect, it } from 'vitest'
import { formatMetaProperties, parseMetaProperties } from '../../src/storage/meta-properties.ts'

const OURS = {
  version: 1,
  clusterId: 'YGgQjDL4RBy2ylW8qSn4Hg',
  nodeId: 1,
  directoryId: 'AAAAAAAAAAAAAAAAAAAAKg',
  others: new Map<string, string>(),
}

describe('meta.properties', () => {
  it('reads what a broker of Kafka 4 writes', () => {
    const text =
      '#\n#Thu Oct 24 12:00:00 UTC 2024\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAKg\nversion=1\ncluster.id=YGgQjDL4RBy2ylW8qSn4Hg\n'
    expect(parseMetaProperties(Buffer.from(text))).toEqual(OURS)
  })

  it('writes the same properties', () => {
    expect(formatMetaProperties(OURS).toString()).toBe(
      'version=1\ncluster.id=YGgQjDL4RBy2ylW8qSn4Hg\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAKg\n',
    )
    expect(parseMetaProperties(formatMetaProperties(OURS))).toEqual(OURS)
  })

  it('keeps keys that it does not know, __proto__ among them', () => {
    const meta = parseMetaProperties(
      Buffer.from('version=1\ncluster.id=c\nnode.id=1\n__proto__=x\nnew.key = a\\=b\n'),
    )
    expect(meta?.directoryId).toBeUndefined()
    expect([...(meta?.others ?? [])]).toEqual([
      ['__proto__', 'x'],
      ['new.key', 'a=b'],
    ])
    expect(meta === undefined ? '' : formatMetaProperties(meta).toString()).toBe(
      'version=1\ncluster.id=c\nnode.id=1\n__proto__=x\nnew.key=a\\=b\n',
    )
  })

  it('reads and writes version 0, with its broker.id and without cluster.id', () => {
    const meta = parseMetaProperties(Buffer.from('version=0\nbroker.id=7\n'))
    expect(meta).toMatchObject({ version: 0, nodeId: 7, clusterId: undefined })
    expect(meta === undefined ? '' : formatMetaProperties(meta).toString()).toBe(
      'version=0\nbroker.id=7\n',
    )
  })

  it('tells a version that it does not know, without asking for more', () => {
    expect(parseMetaProperties(Buffer.from('version=2\n'))?.version).toBe(2)
  })

  it.each([
    ['nothing', ''],
    ['no version', 'cluster.id=c\nnode.id=1\n'],
    ['a version that is no number', 'version=one\ncluster.id=c\nnode.id=1\n'],
    ['no cluster.id', 'version=1\nnode.id=1\n'],
    ['no node.id', 'version=1\ncluster.id=c\n'],
    ['a node.id beyond int32', 'version=1\ncluster.id=c\nnode.id=4294967297\n'],
    ['a malformed escape', 'version=1\ncluster.id=\\u00\nnode.id=1\n'],
  ])('%s is damage', (_what, text) => {
    expect(parseMetaProperties(Buffer.from(text))).toBeUndefined()
  })
})
