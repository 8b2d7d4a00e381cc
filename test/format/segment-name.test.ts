/**
 * Names of files and folders, both ways, and what is none of them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  asideDirectoryName,
  parsePartitionDirectory,
  parsePassingFileName,
  parseSegmentFileName,
  segmentFileName,
} from '../../src/format/segment-name.ts'

const ID = '8a5e1e0e2f1c4b0c9d7a3b2c1d0e9f8a'

describe('the name of a segment file', () => {
  it('is the base offset in 20 digits and the suffix', () => {
    expect(segmentFileName(0, '.log')).toBe('00000000000000000000.log')
    expect(segmentFileName(4_096, '.timeindex')).toBe('00000000000000004096.timeindex')
    expect(segmentFileName(2 ** 53 - 1, '.snapshot')).toBe('00009007199254740991.snapshot')
  })

  it('gives back its base offset and suffix', () => {
    const suffixes = ['.log', '.index', '.timeindex', '.txnindex', '.snapshot'] as const
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom(...suffixes), (baseOffset, suffix) => {
        expect(parseSegmentFileName(segmentFileName(baseOffset, suffix))).toEqual({
          baseOffset,
          suffix,
        })
      }),
    )
  })

  it.each([
    '00000000000000000000.log.deleted',
    '00000000000000000000.log.swap',
    '00000000000000000000.8192.salvaged',
    '0000000000000000000.log',
    '000000000000000000000.log',
    '00009007199254740992.log',
    '-0000000000000000001.log',
    '00000000000000000000.LOG',
    '00000000000000000000',
    'leader-epoch-checkpoint',
    '',
  ])('is not %j', (name) => {
    expect(parseSegmentFileName(name)).toBeUndefined()
  })

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('asserts that %d is no base offset', (baseOffset) => {
    expect(() => segmentFileName(baseOffset, '.log')).toThrow(InvariantError)
  })
})

describe('the name of a partition folder', () => {
  it.each([
    ['orders-0', 'orders', 0],
    ['my-topic.v1-12', 'my-topic.v1', 12],
    ['--2147483647', '-', 2_147_483_647],
    ['a-1-2', 'a-1', 2],
    ['__cluster_metadata-0', '__cluster_metadata', 0],
    ['con-0', 'con', 0],
    [`a-0.${ID}-delete-3`, `a-0.${ID}-delete`, 3],
  ])('%s is in use', (name, topic, partition) => {
    expect(parsePartitionDirectory(name)).toEqual({ topic, partition, state: 'live' })
  })

  it.each(['delete', 'stray', 'future'] as const)('is set aside by a suffix: %s', (state) => {
    expect(parsePartitionDirectory(`my-topic.v1-12.${ID}-${state}`)).toEqual({
      topic: 'my-topic.v1',
      partition: 12,
      state,
      id: ID,
    })
  })

  it.each([
    'orders',
    '-0',
    'orders-',
    'orders-01',
    'orders--',
    'orders-2147483648',
    'or ders-0',
    '..-0',
    'orders-0.-delete',
    `orders-0.${ID}-gone`,
    `orders.${ID}-delete`,
    'lost+found',
    'metadata.json',
    '',
  ])('is not %j', (name) => {
    expect(parsePartitionDirectory(name)).toBeUndefined()
  })

  it('set aside can be read again, and fits a file system however long the topic', () => {
    expect(asideDirectoryName('my-topic-7', ID, 'delete')).toBe(`my-topic-7.${ID}-delete`)
    const long = asideDirectoryName(`${'x'.repeat(249)}-12`, ID, 'delete')
    expect(long).toHaveLength(255)
    expect(parsePartitionDirectory(long)).toMatchObject({ partition: 12, state: 'delete', id: ID })
    expect(() => asideDirectoryName('orders', ID, 'stray')).toThrow(InvariantError)
    expect(() => asideDirectoryName('orders-0', '', 'stray')).toThrow(InvariantError)
  })
})

describe("a file that is not the log's, or not for long", () => {
  const NAME = '00000000000000000042'

  it.each([
    [`${NAME}.log.cleaned`, '.log', 'cleaned', '.cleaned', 0],
    [`${NAME}.txnindex.swap`, '.txnindex', 'swap', '.swap', 0],
    [`${NAME}.timeindex.deleted`, '.timeindex', 'deleted', '.deleted', 0],
    [`${NAME}.index.12.deleted`, '.index', 'deleted', '.12.deleted', 12],
  ] as const)('is %s', (name, suffix, state, ending, copy) => {
    expect(parsePassingFileName(name)).toEqual({ baseOffset: 42, suffix, state, ending, copy })
    expect(parseSegmentFileName(name)).toBeUndefined()
  })

  it.each([
    `${NAME}.log`,
    `${NAME}.swap`,
    `${NAME}.log.tmp`,
    '42.log.swap',
    `${NAME}.log.x.swap`,
    '',
  ])('is not %j', (name) => {
    expect(parsePassingFileName(name)).toBeUndefined()
  })
})
