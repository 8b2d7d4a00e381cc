/** How far what is published is believed, over control files that a writer leaves or not. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BROKER_FILE } from '../../../src/log/directory-evidence.ts'
import { CONTROL_FILE } from '../../../src/storage/control-file.ts'
import { formatTopicId } from '../../../src/storage/topic-id.ts'
import { keyOf, stateOf, topicA, topicB } from '../../storage/control-file-states.ts'
import { BOOT, endOf, PLACE, STEPS, Watched } from './watched-writer.ts'

describe('what is published is taken for the end of a partition', () => {
  it('while its writer lives', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    expect(watch.word(PLACE)).toMatchObject({ mode: 'published', writerGeneration: 1 })
    expect(endOf(watch.word(PLACE))).toBe(stateOf(1).logEndOffset)
    watched.publish(2)
    expect(endOf(watch.word(PLACE))).toBe(stateOf(2).logEndOffset)
  })

  it('for good, once its writer has closed the log', () => {
    const watched = new Watched()
    watched.open().close()
    watched.open()
    watched.publish(1)
    watched.control?.markClean()
    watched.isAlive = false
    const watch = watched.watch()
    watched.clock.advance(10_000)
    expect(watch.word(PLACE)).toMatchObject({ mode: 'published', writerGeneration: 2 })
    expect(watched.asked).toBe(0)
  })
})

describe('it is a lower bound', () => {
  it('where a broker has had the directory since it was closed', () => {
    const watched = Watched.publishing(1)
    watched.control?.markClean()
    watched.isAlive = false
    const watch = watched.watch()
    expect(watch.word(PLACE).mode).toBe('published')
    watched.driver.openFile(BROKER_FILE, 'create').close()
    watched.clock.advance(1_000)
    expect(watch.word(PLACE).mode).toBe('derived')
    watched.open()
    watched.publish(2)
    expect(watch.word(PLACE).mode).toBe('published')
  })

  it('while the next writer recovers what a killed one has left, until it has published', () => {
    const watched = Watched.publishing(1)
    watched.pid = 2 // It has the lock, and nothing else yet.
    expect(watched.watch().word(PLACE).mode).toBe('derived')
    watched.open()
    const watch = watched.watch()
    expect(watch.word(PLACE)).toMatchObject({ mode: 'derived', writerGeneration: 2 })
    watched.publish(2)
    expect(watch.word(PLACE).mode).toBe('published')
    expect(endOf(watch.word(PLACE))).toBe(stateOf(2).logEndOffset)
  })

  it('once its writer has died, which is noticed within a second', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    expect(watch.word(PLACE).mode).toBe('published')
    watched.isAlive = false
    watched.clock.advance(999)
    expect(watch.word(PLACE).mode).toBe('published')
    watched.clock.advance(1)
    expect([...watch.look()].map(([key, { mode }]) => [key, mode])).toEqual([
      [keyOf(topicA, 0), 'derived'],
    ])
    expect(endOf(watch.word(PLACE))).toBe(stateOf(1).logEndOffset)
  })

  it('until the next writer has published, which is noticed at once by its generation', () => {
    const watched = Watched.publishing(1)
    watched.isAlive = false
    const watch = watched.watch()
    expect(watch.word(PLACE).mode).toBe('derived')
    watched.open()
    // It has said nothing of this partition: what there is, is the word of the one before.
    const between = watch.word(PLACE)
    expect(between).toMatchObject({ mode: 'derived', writerGeneration: 2 })
    expect(between.published?.writerGeneration).toBe(1)
    watched.publish(2)
    const after = watch.word(PLACE)
    expect(after).toMatchObject({ mode: 'published', published: { writerGeneration: 2 } })
  })
})

describe('nothing is said', () => {
  it.each([
    ['by a writer of another boot', 'boot-b', BOOT],
    ['where the platform tells no boot', null, null],
    ['where only the writer knew its boot', BOOT, null],
  ] as const)('%s', (_what, writer, reader) => {
    const watched = new Watched()
    watched.open(writer)
    watched.publish(1)
    expect(watched.watch(reader).word(PLACE)).toEqual({
      mode: 'derived',
      published: undefined,
      writerGeneration: undefined,
    })
  })

  it('without a control file, until there is one', () => {
    const watched = new Watched()
    const watch = watched.watch()
    expect(watch.word(PLACE).mode).toBe('derived')
    watched.open()
    watched.publish(1)
    watched.clock.advance(50)
    expect(endOf(watch.word(PLACE))).toBe(stateOf(1).logEndOffset)
  })

  it('once the control file is gone or damaged, which is noticed within 50 ms', async () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    expect(watch.word(PLACE).mode).toBe('published')
    await watched.driver.unlink(CONTROL_FILE)
    watched.clock.advance(50)
    expect(watch.word(PLACE)).toMatchObject({ mode: 'derived', published: undefined })
    watched.open()
    watched.publish(2)
    watched.clock.advance(50)
    expect(watch.word(PLACE).mode).toBe('published')
    watched.overwrite(0, Buffer.from('garbage'))
    expect(watch.word(PLACE)).toMatchObject({ mode: 'derived', published: undefined })
  })
})

describe('a look', () => {
  it('gives what changed since the last one, and nothing else', () => {
    const watched = Watched.publishing(1)
    watched.publish(2, topicB)
    const watch = watched.watch()
    watch.word(PLACE)
    const other = watch.word({ topicId: formatTopicId(topicB), partition: 0 })
    expect(watch.look().size).toBe(0)
    watched.publish(3, topicA)
    expect([...watch.look().keys()]).toEqual([keyOf(topicA, 0)])
    expect(watch.look().size).toBe(0)
    expect(watch.word({ topicId: formatTopicId(topicB), partition: 0 })).toBe(other)
  })

  it('keeps what a slot said that is being written, or was freed', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    const before = watch.word(PLACE)
    watched.free(topicA)
    expect(watch.word(PLACE)).toBe(before)
    expect(watch.look().size).toBe(0)
  })
})

describe('what one partition is asked for', () => {
  const OTHER = { topicId: formatTopicId(topicB), partition: 0 }

  it('hides nothing that concerns another one', () => {
    const watched = Watched.publishing(1)
    const watch = watched.watch()
    watch.word(PLACE)
    watch.word(OTHER)
    expect(watch.look().size).toBe(0)
    // It has no slot: all of them are read, and this one has changed.
    watched.publish(2, topicA)
    watch.word(OTHER)
    expect([...watch.look().keys()]).toEqual([keyOf(topicA, 0)])
    // Its writer is found dead, or to be another one.
    watched.isAlive = false
    watched.clock.advance(1_000)
    expect(watch.word(OTHER).mode).toBe('derived')
    expect(watch.look().get(keyOf(topicA, 0))?.mode).toBe('derived')
    watched.open()
    expect(watch.word(OTHER).writerGeneration).toBe(2)
    expect(watch.look().get(keyOf(topicA, 0))?.writerGeneration).toBe(2)
    // The file is found to be another one.
    void watched.driver.unlink(CONTROL_FILE)
    watched.open()
    watched.publish(3, topicB)
    watched.clock.advance(50)
    expect(endOf(watch.word(OTHER))).toBe(stateOf(3).logEndOffset)
    expect(watch.look().get(keyOf(topicA, 0))?.writerGeneration).toBe(3)
  })
})

describe('however writers come and go', () => {
  it('what is said was published in this boot, and is the end while somebody vouches for it', () => {
    const step = fc.constantFrom(...STEPS)
    const run = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const watched = new Watched()
      const watch = watched.watch()
      /** Of this boot. */
      let newest: number | undefined
      /** As it was when the file was damaged: true still, where nobody has said more. */
      let remembered: number | undefined
      let seed = 0
      let isGood = false
      let isClean = false
      for (const one of steps) {
        const canPublish = watched.control !== undefined && isGood
        if (one === 'open') {
          watched.open()
          if (!isGood) newest = undefined
          isGood = true
          isClean = false
        } else if (one === 'publish' && canPublish && !isClean && watched.isAlive) {
          seed += 1
          watched.publish(seed)
          newest = stateOf(seed).logEndOffset
          remembered = newest
        } else if (one === 'clean' && canPublish && watched.isAlive) {
          watched.control?.markClean()
          watched.isAlive = false
          isClean = true
        } else if (one === 'die') watched.isAlive = false
        else if (one === 'delete' || one === 'damage') {
          if (watched.driver.status(CONTROL_FILE) === undefined) continue
          if (one === 'delete') void watched.driver.unlink(CONTROL_FILE)
          else watched.overwrite(0, Buffer.from('garbage'))
          if (one === 'delete') remembered = undefined
          watched.control = undefined
          isGood = false
          newest = undefined
        } else if (one === 'reboot') {
          if (!isGood) continue
          watched.isAlive = false
          watched.open('boot-z').close()
          watched.isAlive = false
          watched.control = undefined
          isGood = false
          newest = undefined
          remembered = undefined
        }
        watched.clock.advance(1_000)
        const word = watch.word(PLACE)
        const { published, writerGeneration } = word
        const isSaid = published !== undefined && published.writerGeneration === writerGeneration
        const isVouchedFor = isSaid && (isClean || watched.isAlive)
        expect(isGood ? [newest, newest ?? remembered] : [undefined]).toContain(endOf(word))
        expect(word.mode).toBe(isVouchedFor ? 'published' : 'derived')
        expect(watch.look().size).toBe(0)
      }
    })
    fc.assert(run, { numRuns: 200 })
  })
})
