/** Option names: known ones pass, others are refused with a hint. */
import { describe, expect, it } from 'vitest'
import { checkOptions, describeValue } from '../../src/client/check-options.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { refusal } from './refusal.ts'

const KNOWN = ['lingerMs', 'batchBytes']

describe('checkOptions', () => {
  it('lets known names pass, set or undefined, and no options at all', () => {
    for (const options of [
      { lingerMs: 1, batchBytes: undefined },
      Object.create(null),
      undefined,
    ]) {
      expect(() => checkOptions(options, KNOWN, 'log.producer')).not.toThrow()
    }
  })

  it('refuses an unknown name, naming it, the call and the nearest known one', () => {
    const error = refusal(() => checkOptions({ batchSize: 1 }, KNOWN, 'log.producer'))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toEqual({ option: 'batchSize', nearest: 'batchBytes', known: KNOWN })
    expect(error.message).toContain('batchSize')
    expect(error.message).toContain('batchBytes')
    expect(error.message).toContain('log.producer')
  })

  it('refuses an unknown name even where its value is undefined', () => {
    expect(() => checkOptions({ linger: undefined }, KNOWN, 'log.producer')).toThrow(LogError)
  })

  it.each([null, [], 'fast', 3, true, () => {}])(
    'refuses %j in place of an options object',
    (value) => {
      expect(refusal(() => checkOptions(value, KNOWN, 'log.producer')).code).toBe(
        'INVALID_ARGUMENT',
      )
    },
  )
})

describe('describeValue', () => {
  it.each([
    [1.5, '1.5'],
    [NaN, 'NaN'],
    ['x', "'x'"],
    ['y'.repeat(100), `'${'y'.repeat(60)}…'`],
    [null, 'null'],
    [undefined, 'undefined'],
    [5n, 'the bigint 5n'],
    [[1], 'an array'],
    [{}, 'an object'],
    [new Date(0), 'a value of class Date'],
    [Symbol('s'), 'a symbol'],
    [Object.create({ constructor: 1 }), 'an object'],
  ])('names a value briefly (%#)', (value, text) => {
    expect(describeValue(value)).toBe(text)
  })
})
