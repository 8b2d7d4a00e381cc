/** Topic ids: random ones as Kafka draws them, their text both ways. */

import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatTopicId,
  parseTopicId,
  randomTopicId,
  TOPIC_ID_BYTES,
} from '../../src/storage/topic-id.ts'

describe('topic id', () => {
  it('text and bytes are the same thing', () => {
    const bytes = fc.uint8Array({ minLength: TOPIC_ID_BYTES, maxLength: TOPIC_ID_BYTES })
    fc.assert(
      fc.property(bytes, (sixteen) => {
        const text = formatTopicId(sixteen)
        expect(text).toMatch(/^[A-Za-z0-9_-]{22}$/)
        expect(parseTopicId(text)).toEqual(Buffer.from(sixteen))
      }),
    )
  })

  it('a random one is a version 4 UUID', () => {
    const bytes = parseTopicId(randomTopicId(randomBytes)) ?? Buffer.alloc(0)
    expect(bytes.toString('hex')).toMatch(/^.{12}4.{3}[89ab].{15}$/)
  })

  it('a random one never starts with a dash: it is drawn again', () => {
    const draws = [Buffer.alloc(16, 0xfb), Buffer.alloc(16, 0xf8), Buffer.alloc(16, 0x01)]
    expect(randomTopicId(() => draws.shift() ?? Buffer.alloc(0))).toBe('AQEBAQEBQQGBAQEBAQEBAQ')
    expect(draws).toEqual([])
  })

  it('leaves the random bytes as they were', () => {
    const bytes = Buffer.alloc(16, 0x01)
    randomTopicId(() => bytes)
    expect(bytes).toEqual(Buffer.alloc(16, 0x01))
  })

  it.each([
    '',
    'short',
    'AAAAAAAAAAAAAAAAAAAAKg==',
    'AAAAAAAAAAAAAAAAAAAAK+',
    'AAAAAAAAAAAAAAAAAAAAKh',
    'AAAAAAAAAAAAAAAAAAAAKgA',
  ])('%j is none', (text) => {
    expect(parseTopicId(text)).toBeUndefined()
  })
})
