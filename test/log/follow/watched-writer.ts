/** A writer's control file and somebody who watches it, for the tests of WriterWatch. */
import type { WriterWord } from '../../../src/log/follow/follow-context.ts'
import { WriterWatch } from '../../../src/log/follow/writer-watch.ts'
import { CONTROL_FILE, ControlFile } from '../../../src/storage/control-file.ts'
import { openMemoryDriver } from '../../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { formatTopicId } from '../../../src/storage/topic-id.ts'
import { keyOf, stateOf, topicA } from '../../storage/control-file-states.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** The boot of whoever is not said to be of another one. */
export const BOOT = 'boot-a'
/** Partition 0 of topic A. */
export const PLACE: { readonly topicId: string; readonly partition: number } = {
  topicId: formatTopicId(topicA),
  partition: 0,
}
/** What it is found by. */
export const KEY: string = keyOf(topicA, 0)

/** Steps of writers that come and go, and of what happens to their file. */
export const STEPS = [
  'open',
  'publish',
  'clean',
  'die',
  'free',
  'delete',
  'damage',
  'reboot',
] as const

/** A directory with a control file, and somebody who watches it. */
export class Watched {
  readonly clock: FakeClock = new FakeClock()
  readonly driver: StorageDriver = openMemoryDriver()
  isAlive = true
  /** Holds the lock. */
  pid = 1
  asked = 0
  generation = 0
  control: ControlFile | undefined

  /** One that a writer of this boot has opened and published `seed` of. */
  static publishing(seed: number): Watched {
    const watched = new Watched()
    watched.open()
    watched.publish(seed)
    return watched
  }

  /** Takes the slot of a partition away. */
  free(topicId: Buffer): void {
    this.control?.freeSlot(this.control.slotFor(topicId, 0))
  }

  open(bootId: string | null = BOOT): ControlFile {
    this.generation += 1
    const writer = { writerGeneration: this.generation, bootId, pid: this.pid }
    this.control = ControlFile.open(this.driver, writer)
    this.isAlive = true
    return this.control
  }

  publish(seed: number, topicId: Buffer = topicA): void {
    if (this.control === undefined) throw new Error('nobody writes')
    this.control.publish(this.control.slotFor(topicId, 0), stateOf(seed))
  }

  watch(bootId: string | null = BOOT): WriterWatch {
    const { driver, clock } = this
    return new WriterWatch({
      driver,
      clock,
      bootId,
      hasLiveWriter: (pid) => {
        this.asked += 1
        return this.isAlive && pid === this.pid
      },
    })
  }

  overwrite(position: number, bytes: Buffer): void {
    const file = this.driver.openFile(CONTROL_FILE, 'write')
    file.write(bytes, 0, bytes.length, position)
    file.close()
  }
}

/** Where the log ends by that word. */
export function endOf({ published }: WriterWord): number | undefined {
  return published?.logEndOffset
}
