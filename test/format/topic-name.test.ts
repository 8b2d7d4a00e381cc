/**
 * Names of topics: what Kafka allows, and what we refuse beyond that.
 */
import { describe, expect, it } from 'vitest'
import { checkTopicName, isKafkaTopicName } from '../../src/format/topic-name.ts'

const names = ['orders', 'a', '-', '_', '.a', '...a', 'A.b_c-1', '__x', 'con-1', 'console', 'com10']

describe('a topic', () => {
  it.each([...names, 'x'.repeat(249)])('may be named %s', (name) => {
    expect(checkTopicName(name)).toBeNull()
    expect(isKafkaTopicName(name)).toBe(true)
  })

  it.each(['', '.', '..', 'a b', 'a/b', 'a\\b', 'ä', 'a\n', 'a:b', '\0', 'x'.repeat(250)])(
    'is not named %j, there or here',
    (name) => {
      expect(checkTopicName(name)).toEqual(expect.any(String))
      expect(isKafkaTopicName(name)).toBe(false)
    },
  )

  it.each(['a.', '...', 'con', 'CON', 'Nul', 'prn.x', 'AUX.y.z', 'com1', 'LPT9.a'])(
    'may be named %s by a broker, but not by us',
    (name) => {
      expect(checkTopicName(name)).toEqual(expect.any(String))
      expect(isKafkaTopicName(name)).toBe(true)
    },
  )

  it.each([undefined, null, 7, ['a'], {}])('is not named by %j', (name) => {
    expect(checkTopicName(name)).toEqual(expect.any(String))
  })
})
