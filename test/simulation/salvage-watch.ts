/**
 * SalvageWatch: what recovery cut off and kept under another name stays as it is, whatever happens,
 * for as long as its topic is there.
 */
import type { Computer } from './computer.ts'
import { must } from './simulation-failure.ts'
import type { TopicModel } from './topic-model.ts'

interface SalvagedFile {
  readonly path: string
  readonly bytes: string
  readonly topic: TopicModel
}

/** See the file's header. */
export class SalvageWatch {
  readonly #computer: Computer
  readonly #topics: readonly TopicModel[]
  #known: readonly SalvagedFile[] = []

  constructor(computer: Computer, topics: readonly TopicModel[]) {
    this.#computer = computer
    this.#topics = topics
  }

  /** Compares what is there with the last look; damaged bytes may be anything. */
  look(isTainted: boolean): void {
    const found = this.#computer.filesEnding('.salvaged')
    for (const { path, bytes, topic } of this.#known) {
      const isKept = found.get(path) === bytes || !topic.isLive || isTainted
      must(isKept, () => `${path}, which recovery kept, is gone or another`)
    }
    this.#known = [...found].flatMap(([path, bytes]) => {
      const topic = this.#topicOf(path.slice(0, path.indexOf('/')))
      return topic === undefined ? [] : [{ path, bytes, topic }]
    })
  }

  #topicOf(folder: string): TopicModel | undefined {
    return this.#topics.find((one) => {
      return one.isLive && one.partitions.some(({ name }) => name === folder)
    })
  }
}
