/** What a reader that was woken learns of one slot before it looks at everything. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTopicId } from '../../../src/storage/topic-id.ts'
import { keyOf, stateOf, topicA, topicB } from '../../storage/control-file-states.ts'
import { endOf, KEY, PLACE, STEPS, Watched } from './watched-writer.ts'

describe('a glance', () => {
  it('gives what the writer says of one partition, once', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    watch.word(PLACE)
    expect(watch.glance(KEY)).toBeUndefined()
    watched.publish(2)
    expect(watch.glance(KEY)).toMatchObject({ mode: 'published', published: stateOf(2) })
    expect(watch.glance(KEY)).toBeUndefined()
    expect(watch.look().size).toBe(0)
    expect(endOf(watch.word(PLACE))).toBe(stateOf(2).logEndOffset)
  })

  it('says nothing of what nobody has asked for, or what nobody vouches for', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    watched.publish(2)
    expect(watch.glance(KEY)).toBeUndefined()
    watched.isAlive = false
    watched.clock.advance(1_000)
    expect(watch.word(PLACE).mode).toBe('derived')
    watched.publish(3)
    expect(watch.glance(KEY)).toBeUndefined()
    expect(endOf(watch.word(PLACE))).toBe(stateOf(3).logEndOffset)
  })

  it('leaves another writer to the look behind it', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    watch.word(PLACE)
    watched.open()
    watched.publish(2)
    expect(watch.glance(KEY)).toBeUndefined()
    expect(watch.look().get(KEY)).toMatchObject({ writerGeneration: 2, published: stateOf(2) })
  })

  it('leaves a slot that another partition has now to the look behind it', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    const before = watch.word(PLACE)
    watch.word({ topicId: formatTopicId(topicB), partition: 0 })
    expect(watch.look().size).toBe(0)
    watched.free(topicA)
    watched.publish(2, topicB)
    expect(watch.glance(KEY)).toBeUndefined()
    expect([...watch.look().keys()]).toEqual([keyOf(topicB, 0)])
    expect(watch.known(KEY)).toBe(before)
  })

  it('hides nothing from the look behind it, however writers come and go', () => {
    const step = fc.record({
      what: fc.constantFrom(...STEPS, 'publish', 'publish', 'free', 'free'),
      isOther: fc.boolean(),
      isGlanced: fc.boolean(),
      isLook: fc.boolean(),
      elapsedMs: fc.constantFrom(0, 20, 1_000),
    })
    const run = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const watched = new Watched()
      const [glancing, plain] = [watched.watch(), watched.watch()]
      const keys = [KEY, keyOf(topicB, 0)]
      for (const watch of [glancing, plain]) {
        for (const topicId of [topicA, topicB]) {
          watch.word({ topicId: formatTopicId(topicId), partition: 0 })
        }
      }
      /** Topic ids never come back. */
      const gone = new Set<Buffer>()
      let seed = 0
      for (const { what, isOther, isGlanced, isLook, elapsedMs } of steps) {
        const { control } = watched
        const topicId = isOther ? topicB : topicA
        watched.clock.advance(elapsedMs)
        if (what === 'open') watched.open()
        else if (what === 'clean') control?.markClean()
        else if (what === 'die') watched.isAlive = false
        else if (what === 'reboot' && control !== undefined) watched.open('boot-z')
        else if (what === 'publish' && control !== undefined && !gone.has(topicId)) {
          seed += 1
          watched.publish(seed, topicId)
        } else if (what === 'free' && control !== undefined && !gone.has(topicId)) {
          // What was published last is seen by both, or by whoever glances alone.
          for (const watch of [glancing, plain]) watch.look()
          watched.free(topicId)
          gone.add(topicId)
        }
        if (isGlanced) for (const key of keys) glancing.glance(key)
        if (!isLook) continue
        for (const watch of [glancing, plain]) watch.look()
        for (const key of keys) expect(glancing.known(key)).toEqual(plain.known(key))
      }
    })
    fc.assert(run, { numRuns: 500 })
  })
})
