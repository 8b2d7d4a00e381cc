/** Segments of small topics, and waiting for what a run does to them. */
import { expect } from 'vitest'
import type { Topic } from '../../src/client/topic.ts'
import { nextTurn } from '../../src/log/clock.ts'

/** Appends `count` records, each in a segment of its own. */
export function appendSegments(topic: Topic, count: number): void {
  for (let index = 0; index < count; index++) {
    topic.partition(0).append([{ key: `k${index}`, value: 'v'.repeat(900) }])
  }
}

/** Segments of small logs: a batch each. */
export const SMALL: { readonly segmentBytes: number } = { segmentBytes: 1_024 }

/** Lets what is under way on a disk go on until something can be seen. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isSo(); turn++) await nextTurn()
  expect(isSo()).toBe(true)
}
