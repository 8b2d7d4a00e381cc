/** Options of a producer: each is checked when it is made, at its bounds. */
import { describe, expect, it } from 'vitest'
import { partitioners } from '../../src/client/partitioner.ts'
import { checkProducerOptions } from '../../src/client/producer-options.ts'
import { missingPackageOf } from '../../src/format/compression.ts'
import { ProducerLog } from './producer-log.ts'
import { refusal } from './refusal.ts'

/** The refusal of options whose types are wrong as well. */
function refused(options: Readonly<Record<string, unknown>>): ReturnType<typeof refusal> {
  return refusal(() => new ProducerLog().producer(options))
}

describe('the options of a producer', () => {
  it('have the documented defaults, for absent and for undefined ones', () => {
    const defaults = {
      acks: 'all',
      lingerMs: 0,
      batchBytes: 65_536,
      bufferBytes: 33_554_432,
      compression: 'none',
      partitioner: partitioners.murmur2,
      idempotent: true,
      transactionalId: null,
      transactionTimeoutMs: 60_000,
      signal: null,
    }
    expect(checkProducerOptions(undefined)).toEqual(defaults)
    expect(
      checkProducerOptions({ acks: undefined, compression: undefined, partitioner: undefined }),
    ).toEqual(defaults)
  })

  it('take every value inside their bounds', () => {
    const settings = checkProducerOptions({
      acks: 0,
      lingerMs: 0x7fff_ffff,
      batchBytes: 1,
      bufferBytes: 1,
      compression: 'gzip',
      idempotent: false,
      transactionTimeoutMs: 1,
      signal: new AbortController().signal,
    })
    expect(settings).toMatchObject({
      acks: 0,
      lingerMs: 0x7fff_ffff,
      batchBytes: 1,
      bufferBytes: 1,
      idempotent: false,
      transactionTimeoutMs: 1,
    })
  })

  it.each([
    { acks: 2 },
    { acks: '1' },
    { acks: null },
    { lingerMs: -1 },
    { lingerMs: 0.5 },
    { lingerMs: Infinity },
    { lingerMs: 2 ** 31 },
    { lingerMs: '5' },
    { batchBytes: 0 },
    { batchBytes: NaN },
    { bufferBytes: 0 },
    { bufferBytes: '1' },
    { compression: 'brotli' },
    { compression: null },
    { idempotent: 1 },
    { idempotent: null },
    { transactionTimeoutMs: 0 },
    { transactionTimeoutMs: 2 ** 31 },
    { transactionalId: '' },
    { transactionalId: `streambed-${'0'.repeat(32)}` },
    { transactionalId: 7 },
    { transactionalId: null },
    { transactionalId: '\ud800' },
    { transactionalId: 'x'.repeat(32_768) },
    { transactionalId: 'é'.repeat(16_384) },
    { signal: {} },
    { partitioner: 'murmur2' },
    { partitioner: null },
  ])('refuse %#, naming the option', (options) => {
    const error = refused(options)
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ option: Object.keys(options)[0] })
  })

  it('refuse an unknown name with the nearest known one', () => {
    expect(refused({ batchSize: 1 }).details).toMatchObject({
      option: 'batchSize',
      nearest: 'batchBytes',
    })
  })

  it("refuse acks: -1 with a hint at acks: 'all'", () => {
    expect(refused({ acks: -1 }).message).toContain("acks: 'all'")
  })

  it('take a transactional id as long as Kafka can write it', () => {
    for (const transactionalId of ['x', 'x'.repeat(32_767), `x${'é'.repeat(16_383)}`, '😀']) {
      expect(checkProducerOptions({ transactionalId })).toMatchObject({ transactionalId })
    }
  })

  it('refuse a transactional id of a producer that is not idempotent', () => {
    const error = refused({ transactionalId: 'totals', idempotent: false })
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ option: 'idempotent' })
  })

  it('refuse a codec whose package is not installed, naming the package', () => {
    for (const compression of ['snappy', 'lz4', 'zstd'] as const) {
      const packageName = missingPackageOf(compression, 'compress')
      if (packageName === null) expect(checkProducerOptions({ compression })).toBeDefined()
      else expect(refused({ compression }).details).toMatchObject({ package: packageName })
    }
  })
})
