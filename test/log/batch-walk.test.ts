/**
 * BatchWalk over files made by hand: which batch is whole and in its place, where the next one
 * starts behind damage, where what was written ends.
 */
import { describe, expect, it } from 'vitest'
import { emptyBatch } from '../../src/format/empty-batch.ts'
import { BATCH_HEADER_BYTES } from '../../src/format/record-batch.ts'
import { BatchWalk, type BatchSearch } from '../../src/log/batch-walk.ts'
import { MAX_RELATIVE_OFFSET } from '../../src/log/roll-policy.ts'
import { batchOf, broken, BufferLog, FIELDS, turnsOf } from './stored-batches.ts'

const MIB = 1_048_576
/** Looked at at once for an end of content. */
const LOOK_BYTES = 65_536

function walkOver(...parts: readonly Buffer[]): BatchWalk {
  const log = new BufferLog(...parts)
  return new BatchWalk({ log, baseOffset: 0, fileBytes: log.bytes.length })
}

/** Batches of one record from offset 0 on, of one size. */
function batches(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, baseOffset) => batchOf({ baseOffset }))
}

const batchBytes = batchOf({ baseOffset: 0 }).length
const compacted = (nextOffset: number) => ({ nextOffset, isGapless: false })
const gapless = (nextOffset: number) => ({ nextOffset, isGapless: true })

describe('the check of a batch in its place', () => {
  it('passes one that is whole and continues what came before', () => {
    const walk = walkOver(...batches(3))
    for (let index = 0; index < 3; index++) {
      expect(walk.check(index * batchBytes, gapless(index))).toBe('ok')
      expect(walk.check(index * batchBytes, compacted(index))).toBe('ok')
    }
  })

  it('passes one that is larger than a window', () => {
    const large = batchOf({ baseOffset: 1, valueBytes: 3 * MIB })
    const walk = walkOver(...batches(1), large, batchOf({ baseOffset: 2 }))
    expect(walk.check(batchBytes, gapless(1))).toBe('ok')
    expect(walk.at(batchBytes) + large.length).toBeLessThanOrEqual(walk.buffer.length)
    expect(walk.check(batchBytes + large.length, gapless(2))).toBe('ok')
    expect(walk.check(0, gapless(0))).toBe('ok')
  })

  it('finds one that starts below what came before, or leaves out offsets where none may', () => {
    const walk = walkOver(batchOf({ baseOffset: 5 }))
    expect(walk.check(0, gapless(6))).toBe('gap')
    expect(walk.check(0, compacted(6))).toBe('gap')
    expect(walk.check(0, gapless(4))).toBe('gap')
    expect(walk.check(0, compacted(4))).toBe('ok')
  })

  it('takes a gap for damage where the next batch starts below the end of this one', () => {
    const far = batchOf({ baseOffset: 9 })
    expect(walkOver(far, batchOf({ baseOffset: 10 })).check(0, compacted(4))).toBe('ok')
    expect(walkOver(far, batchOf({ baseOffset: 9 })).check(0, compacted(4))).toBe('gap')
    expect(walkOver(far, broken(batchOf({ baseOffset: 5 }))).check(0, compacted(4))).toBe('ok')
    expect(walkOver(far, Buffer.alloc(200)).check(0, compacted(4))).toBe('ok')
    const empty = emptyBatch({ firstOffset: 5, nextOffset: 6 }, 0)
    expect(walkOver(far, empty).check(0, compacted(4))).toBe('gap')
  })

  it('allows the last offset that an index of the segment can name, and no later one', () => {
    const last = batchOf({ baseOffset: MAX_RELATIVE_OFFSET })
    const beyond = batchOf({ baseOffset: MAX_RELATIVE_OFFSET, recordCount: 2 })
    expect(walkOver(last).check(0, compacted(4))).toBe('ok')
    expect(walkOver(beyond).check(0, compacted(4))).toBe('gap')
    const later = new BufferLog(beyond)
    const walk = new BatchWalk({ log: later, baseOffset: 1, fileBytes: later.bytes.length })
    expect(walk.check(0, compacted(4))).toBe('ok')
  })

  it.each([
    ['zeros that are less than a header', Buffer.alloc(BATCH_HEADER_BYTES - 1), 'zeros'],
    ['zeros that are more', Buffer.alloc(BATCH_HEADER_BYTES + 9), 'zeros'],
    ['less than a header', batchOf({ baseOffset: 1 }).subarray(0, 60), 'incomplete'],
    ['less than a length', Buffer.from([0, 0, 1]), 'incomplete'],
    ['less than a header, of anything', Buffer.alloc(40, 0x11), 'incomplete'],
    ['no more than a header', batchOf({ baseOffset: 1 }).subarray(0, 61), 'incomplete'],
    ['all but a byte', batchOf({ baseOffset: 1 }).subarray(0, -1), 'incomplete'],
    ['another CRC', broken(batchOf({ baseOffset: 1 })), 'crc'],
  ] as const)('says what it is where there is %s', (_, bytes, what) => {
    expect(walkOver(...batches(1), bytes).check(batchBytes, gapless(1))).toBe(what)
  })

  it('says the length is wrong where that is less than a header', () => {
    const short = batchOf({ baseOffset: 1 })
    short.writeInt32BE(48, FIELDS.length)
    expect(walkOver(short).check(0, gapless(1))).toBe('length')
    short.writeInt32BE(-60, FIELDS.length)
    expect(walkOver(short).check(0, gapless(1))).toBe('length')
  })

  it('takes no memory for a length that the file cannot hold, or no batch can have', () => {
    const liar = batchOf({ baseOffset: 0 })
    for (const length of [3 * MIB, -5 * MIB, 0x7fff_ffff]) {
      liar.writeInt32BE(length, FIELDS.length)
      const log = new BufferLog(liar, Buffer.alloc(3 * MIB - 100))
      const walk = new BatchWalk({ log, baseOffset: 0, fileBytes: log.bytes.length })
      expect(walk.check(0, gapless(0))).not.toBe('ok')
      expect(log.reads.every(({ byteLength }) => byteLength <= MIB)).toBe(true)
    }
  })

  it('looks at nothing behind the bytes it was given', () => {
    const log = new BufferLog(...batches(2))
    const walk = new BatchWalk({ log, baseOffset: 0, fileBytes: 2 * batchBytes - 1 })
    expect(walk.check(0, gapless(0))).toBe('ok')
    expect(walk.check(batchBytes, gapless(1))).toBe('incomplete')
  })
})

describe('where a batch says that it ends', () => {
  it('is taken from its length, where that makes sense', () => {
    const walk = walkOver(...batches(2), Buffer.alloc(BATCH_HEADER_BYTES - 1))
    expect(walk.claimedEnd(batchBytes)).toBe(2 * batchBytes)
    expect(walk.claimedEnd(2 * batchBytes)).toBe(2 * batchBytes)
    expect(walkOver(Buffer.alloc(100)).claimedEnd(0)).toBe(0)
    const empty = emptyBatch({ firstOffset: 5, nextOffset: 6 }, 0)
    expect(walkOver(empty).claimedEnd(0)).toBe(BATCH_HEADER_BYTES)
    const tail = batchOf({ baseOffset: 2 }).subarray(0, 40)
    expect(walkOver(...batches(2), tail).claimedEnd(2 * batchBytes)).toBe(2 * batchBytes)
    const far = batchOf({ baseOffset: 0 })
    far.writeInt32BE(1_000_000, FIELDS.length)
    expect(walkOver(far).claimedEnd(0)).toBe(1_000_012)
  })
})

describe('the next whole batch', () => {
  const search = (over: Partial<BatchSearch>): BatchSearch => ({
    position: batchBytes,
    offset: 1,
    below: Infinity,
    knownEnd: 0,
    ...over,
  })
  const find = (walk: BatchWalk, over: Partial<BatchSearch> = {}, end?: number): number =>
    turnsOf(walk.findBatch(search(over), end)).result

  it('is where the bad one says that it ends, whatever lies within it', () => {
    const [first, , third] = batches(3)
    const copied = broken(batchOf({ baseOffset: 1, value: batchOf({ baseOffset: 2 }) }))
    const walk = walkOver(first ?? copied, copied, third ?? copied)
    expect(find(walk)).toBe(batchBytes + copied.length)
  })

  it('is found byte by byte where the bad one says nothing true', () => {
    const [first, second, third] = batches(3)
    for (const length of [0, -1, 100_000, 48, 60]) {
      const bad = Buffer.from(second ?? '')
      bad.writeInt32BE(length, FIELDS.length)
      expect(find(walkOver(first ?? bad, bad, third ?? bad))).toBe(2 * batchBytes)
    }
  })

  it('is the bad one itself where it is whole, and the log is known to have gone so far', () => {
    const parts = [batchOf({ baseOffset: 0 }), batchOf({ baseOffset: 7 })]
    expect(find(walkOver(...parts), { knownEnd: 8 })).toBe(batchBytes)
    expect(find(walkOver(...parts), { knownEnd: 7 })).toBe(-1)
    const followed = [...parts, batchOf({ baseOffset: 8 })]
    expect(find(walkOver(...followed), { knownEnd: 7 })).toBe(batchBytes)
    const brokenlyFollowed = [...parts, broken(batchOf({ baseOffset: 8 }))]
    expect(find(walkOver(...brokenlyFollowed), { knownEnd: 7 })).toBe(-1)
    const tornBehind = [...parts, batchOf({ baseOffset: 8 }).subarray(0, 60)]
    expect(find(walkOver(...tornBehind), { knownEnd: 7 })).toBe(-1)
    const empty = emptyBatch({ firstOffset: 8, nextOffset: 9 }, 0)
    expect(find(walkOver(...parts, empty), { knownEnd: 7 })).toBe(batchBytes)
  })

  it('is none that another one contradicts', () => {
    const [first, second] = batches(2)
    const bad = broken(second ?? Buffer.alloc(0))
    const wrong = batchOf({ baseOffset: 40 })
    const right = batchOf({ baseOffset: 3 })
    expect(find(walkOver(first ?? bad, bad, wrong, right))).toBe(3 * batchBytes)
    expect(find(walkOver(first ?? bad, bad, wrong, batchOf({ baseOffset: 41 })))).toBe(
      2 * batchBytes,
    )
  })

  it('has the offsets looked for', () => {
    const bad = broken(batchOf({ baseOffset: 1 }))
    const walk = walkOver(...batches(1), bad, batchOf({ baseOffset: 4, recordCount: 3 }))
    expect(find(walk, { offset: 4, below: 7 })).toBe(2 * batchBytes)
    expect(find(walk, { offset: 5, below: 7 })).toBe(-1)
    expect(find(walk, { offset: 4, below: 6 })).toBe(-1)
    const last = batchOf({ baseOffset: MAX_RELATIVE_OFFSET })
    expect(find(walkOver(...batches(1), bad, last))).toBe(2 * batchBytes)
    const beyond = batchOf({ baseOffset: MAX_RELATIVE_OFFSET + 1 })
    expect(find(walkOver(...batches(1), bad, beyond))).toBe(-1)
    const later = new BufferLog(...batches(1), bad, beyond)
    const { length: fileBytes } = later.bytes
    expect(find(new BatchWalk({ log: later, baseOffset: 1, fileBytes }))).toBe(2 * batchBytes)
  })

  it('is none that only looks like one', () => {
    const bad = broken(batchOf({ baseOffset: 1 }))
    const magic = batchOf({ baseOffset: 2 })
    magic.writeInt8(1, FIELDS.magic)
    const short = batchOf({ baseOffset: 2 })
    short.writeInt32BE(48, FIELDS.length)
    const negative = batchOf({ baseOffset: 2 })
    negative.writeInt8(-1, 0)
    const large = batchOf({ baseOffset: 2 })
    large.writeUInt32BE(0x20_0000, 0)
    const cut = batchOf({ baseOffset: 2 }).subarray(0, -1)
    for (const fake of [magic, short, negative, large, broken(batchOf({ baseOffset: 2 })), cut]) {
      expect(find(walkOver(...batches(1), bad, fake))).toBe(-1)
    }
  })

  it('starts before the end of the stretch that is searched', () => {
    const bad = Buffer.alloc(batchBytes, 0x11)
    const empty = emptyBatch({ firstOffset: 3, nextOffset: 4 }, 0)
    const walk = walkOver(...batches(1), bad, empty)
    const end = 2 * batchBytes + BATCH_HEADER_BYTES
    expect(find(walk, {}, end)).toBe(2 * batchBytes)
    expect(find(walk, {}, end - 1)).toBe(-1)
    // What the bad batch claims is held to the same.
    const claiming = walkOver(...batches(1), broken(batchOf({ baseOffset: 1 })), empty)
    expect(find(claiming, {}, 2 * batchBytes)).toBe(-1)
    expect(find(claiming, {}, 2 * batchBytes + 1)).toBe(2 * batchBytes)
  })

  it('may be the last 61 bytes of the file', () => {
    const empty = emptyBatch({ firstOffset: 3, nextOffset: 4 }, 0)
    expect(find(walkOver(...batches(1), Buffer.alloc(70, 0x11), empty))).toBe(batchBytes + 70)
  })

  it('is searched for in slices, others having their turn in between', () => {
    const garbage = Buffer.alloc(4.5 * MIB, 0x11)
    const walk = walkOver(...batches(1), garbage, batchOf({ baseOffset: 1 }))
    const { result, turns } = turnsOf(walk.findBatch(search({})))
    expect(result).toBe(batchBytes + garbage.length)
    expect(turns).toBeGreaterThanOrEqual(2)
    expect(turns).toBeLessThanOrEqual(4)
    const small = walkOver(...batches(1), garbage.subarray(0, 10_000))
    expect(turnsOf(small.findBatch(search({})))).toEqual({ result: -1, turns: 0 })
  })

  it('is found behind bytes that look like the magic of one, wherever a window ends', () => {
    for (const distance of [
      1,
      60,
      61,
      62,
      1_000,
      MIB - 100,
      MIB - 61,
      MIB - 17,
      MIB - 1,
      MIB + 5,
    ]) {
      for (const byte of [0x11, 0x02]) {
        const garbage = Buffer.alloc(distance, byte)
        const walk = walkOver(...batches(1), garbage, batchOf({ baseOffset: 1 }))
        const { result } = turnsOf(walk.findBatch(search({})))
        expect(result, `${distance} of ${byte}`).toBe(batchBytes + distance)
      }
    }
  })

  it('costs nothing where the offsets of what only looks like one are not looked for', () => {
    const lies = [batchOf({ baseOffset: 1 }), batchOf({ baseOffset: 900 })]
    for (const lie of lies) lie.writeInt32BE(MIB / 2, FIELDS.length)
    const walk = walkOver(...batches(1), Buffer.alloc(9, 0x11), ...lies, ...lies, Buffer.alloc(MIB))
    const found = walk.findBatch(search({ offset: 2, below: 900 }), 6 * batchBytes)
    expect(turnsOf(found)).toEqual({ result: -1, turns: 0 })
  })

  it('counts the bytes of what only looked like a batch among those it searched', () => {
    // Each claims half a megabyte, whose CRC has to be computed.
    const lie = batchOf({ baseOffset: 1 })
    lie.writeInt32BE(MIB / 2, FIELDS.length)
    const lies = Array.from({ length: 8 }, () => lie)
    const walk = walkOver(...batches(1), Buffer.alloc(9, 0x11), ...lies, Buffer.alloc(MIB))
    const { turns } = turnsOf(walk.findBatch(search({}), 10 * batchBytes + 9))
    expect(turns).toBeGreaterThanOrEqual(3)
    expect(turns).toBeLessThanOrEqual(5)
  })
})

describe('where what was written ends', () => {
  it.each([
    ['at once, where there is nothing', Buffer.alloc(0), 0],
    ['at once, where all is zeros', Buffer.alloc(70_000), 0],
    ['behind the first byte', Buffer.concat([Buffer.from([1]), Buffer.alloc(70_000)]), 1],
    ['at the last byte', Buffer.concat([Buffer.alloc(70_000), Buffer.from([1])]), 70_001],
    [
      'behind zeros and a byte at the edge of what is looked at',
      Buffer.concat([Buffer.alloc(65_535), Buffer.from([1]), Buffer.alloc(100)]),
      65_536,
    ],
    [
      'behind zeros and a byte beyond that edge',
      Buffer.concat([Buffer.alloc(65_536), Buffer.from([1]), Buffer.alloc(100)]),
      65_537,
    ],
  ] as const)('is %s', (_, behind, end) => {
    const walk = walkOver(...batches(1), behind)
    expect(turnsOf(walk.endOfContent(batchBytes)).result).toBe(batchBytes + end)
  })

  it('is looked for in slices, others having their turn in between', () => {
    const walk = walkOver(Buffer.alloc(3.5 * MIB), Buffer.from([1]), Buffer.alloc(100))
    expect(turnsOf(walk.endOfContent(0))).toEqual({ result: 3.5 * MIB + 1, turns: 3 })
    expect(turnsOf(walk.endOfContent(3 * MIB)).turns).toBe(0)
  })

  it('is found wherever it lies, from wherever it is looked for', () => {
    const fileBytes = 3 * LOOK_BYTES + 7
    const around = [0, 1, 2, 3].flatMap((look) =>
      [-2, -1, 0, 1].map((by) => look * LOOK_BYTES + by),
    )
    const places = [...around, fileBytes - 1].filter((place) => place >= 0 && place < fileBytes)
    for (const last of places) {
      const bytes = Buffer.alloc(fileBytes)
      bytes[last] = 1
      const walk = walkOver(bytes)
      for (const from of places) {
        expect(turnsOf(walk.endOfContent(from)).result).toBe(from <= last ? last + 1 : from)
      }
    }
  })
})

describe('a copy of stored bytes', () => {
  it('is the caller’s, and shorter only at the end', () => {
    const parts = batches(3)
    const walk = walkOver(...parts)
    const copy = walk.copy(batchBytes, batchBytes)
    expect(copy.equals(parts[1] ?? Buffer.alloc(0))).toBe(true)
    walk.buffer.fill(0)
    expect(copy.equals(parts[1] ?? Buffer.alloc(0))).toBe(true)
    expect(walkOver(...parts).copy(2 * batchBytes, MIB)).toHaveLength(batchBytes)
    expect(walkOver(...parts).copy(3 * batchBytes, 1)).toHaveLength(0)
  })
})
