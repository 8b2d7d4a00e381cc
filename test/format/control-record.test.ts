/**
 * Markers: Kafka's bytes both ways, and keys and values that are none.
 */
import { describe, expect, it } from 'vitest'
import {
  controlTypeOf,
  coordinatorEpochOf,
  encodeMarkerKey,
  encodeMarkerValue,
} from '../../src/format/control-record.ts'
import { fromHex, loadBatchVectors } from './vectors.ts'

const markers = loadBatchVectors()
  .filter(({ batch }) => batch.isControl)
  .flatMap(({ name, batch }) => batch.records.map(({ key, value }) => ({ name, key, value })))

describe('a marker of Kafka', () => {
  it('is there for both outcomes', () => {
    expect(markers.map(({ name }) => name)).toEqual(['control_commit', 'control_abort'])
  })

  it.each(markers)('$name is read, and written with the same bytes', ({ name, key, value }) => {
    const outcome = name === 'control_commit' ? 'commit' : 'abort'
    const coordinatorEpoch = outcome === 'commit' ? 12 : 0
    const bytes = fromHex(`ff${key}${value}`)
    expect(controlTypeOf(bytes, 1, 4)).toBe(outcome)
    expect(coordinatorEpochOf(bytes, 5, 6)).toBe(coordinatorEpoch)
    expect(encodeMarkerKey(outcome).toString('hex')).toBe(key)
    expect(encodeMarkerValue(coordinatorEpoch).toString('hex')).toBe(value)
  })
})

describe('a control record', () => {
  it.each(['00000002', '00000006', '00007fff', '0000ffff'])('of type %s is another', (key) => {
    expect(controlTypeOf(fromHex(key), 0, 4)).toBe('other')
  })

  it('of a newer version is read as far as it is known', () => {
    expect(controlTypeOf(fromHex('00010001aabb'), 0, 6)).toBe('commit')
    expect(coordinatorEpochOf(fromHex('000100000007aabb'), 0, 8)).toBe(7)
  })

  it.each([
    ['null', '00000001', -1],
    ['too short', '00000001', 3],
    ['of a negative version', 'ffff0001', 4],
  ])('is refused when its key is %s', (_, key, keyLength) => {
    expect(() => controlTypeOf(fromHex(key), 0, keyLength)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'record' }),
    )
  })

  it.each([
    ['null', '000000000007', -1],
    ['too short', '000000000007', 5],
    ['of a negative version', 'ffff00000007', 6],
  ])('is refused when its value is %s', (_, value, valueLength) => {
    expect(() => coordinatorEpochOf(fromHex(value), 0, valueLength)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'record' }),
    )
  })
})
