/**
 * What `run` and `runBatches` may be told.
 */
import { describe, expect, it } from 'vitest'
import { BatchHandling, RecordHandling } from '../../../src/client/groups/run-handling.ts'
import { runBatchesPlan, runPlan } from '../../../src/client/groups/run-options.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { refusal } from '../refusal.ts'

/** Options as a program without types may give them. */
const planned = (options: object): unknown => runPlan(options, 500)
const plannedBatches = (options: object): unknown => runBatchesPlan(options, 500)

describe('the options of a run', () => {
  it('have defaults: one member, one handler at once, no retries', () => {
    expect(runPlan(undefined, 500)).toMatchObject({
      members: 1,
      concurrency: 1,
      orderedBy: 'partition',
      retries: 0,
      deadLetterTopic: null,
      signal: null,
      max: 500,
      waitMs: 0,
    })
  })

  it('take undefined for absent', () => {
    const options = { members: undefined, retries: undefined, signal: undefined }
    expect(runPlan(options, 500)).toMatchObject({ members: 1, retries: 0, signal: null })
  })

  it.each([
    { members: 0 },
    { members: 1.5 },
    { members: '2' },
    { concurrency: 0 },
    { concurrency: Infinity },
    { orderedBy: 'topic' },
    { retries: -1 },
    { retries: 0.5 },
    { retries: NaN },
    { backoffMs: -1 },
    { deadLetterTopic: 'a b' },
    { deadLetterTopic: '' },
    { signal: {} },
  ])('refuse %o', (options) => {
    const [option] = Object.keys(options)
    expect(refusal(() => planned(options)).details).toMatchObject({ option })
    expect(refusal(() => plannedBatches(options)).details).toMatchObject({ option })
  })

  it('refuse a topic of dead letters that is none', () => {
    expect(refusal(() => planned({ deadLetterTopic: 7 })).code).toBe('INVALID_ARGUMENT')
  })

  it('refuse unknown names, with the nearest one', () => {
    expect(refusal(() => planned({ concurency: 2 })).details).toMatchObject({
      nearest: 'concurrency',
    })
    expect(refusal(() => planned({ max: 2 })).code).toBe('INVALID_ARGUMENT')
  })

  it('may retry for ever', () => {
    expect(runPlan({ retries: Infinity }, 500).retries).toBe(Infinity)
  })

  it('name the topic of dead letters by a string or a definition', () => {
    const Dead = defineTopic('dead')
    expect(runPlan({ deadLetterTopic: 'dead' }, 500).deadLetterTopic).toBe('dead')
    expect(runPlan({ deadLetterTopic: Dead }, 500).deadLetterTopic).toBe(Dead)
  })
})

describe('the options of a run over batches', () => {
  it('say how large a batch is and how long it is waited for', () => {
    expect(runBatchesPlan({ max: 7, waitMs: 9 }, 500)).toMatchObject({ max: 7, waitMs: 9 })
    expect(runBatchesPlan(undefined, 500)).toMatchObject({ max: 500, waitMs: 0 })
  })

  it.each([{ max: 0 }, { max: 1.5 }, { waitMs: -1 }, { waitMs: Infinity }])(
    'refuse %o',
    (options) => {
      const [option] = Object.keys(options)
      expect(refusal(() => plannedBatches(options)).details).toMatchObject({ option })
    },
  )

  it('have no order by key: a batch has many', () => {
    expect(refusal(() => plannedBatches({ orderedBy: 'key' })).details).toMatchObject({
      option: 'orderedBy',
    })
  })
})

describe('the handler of a run', () => {
  it.each([undefined, 'handle', {}])('is a function, not %o', (handler) => {
    const untyped = handler as () => void // It has to see for itself.
    expect(refusal(() => new RecordHandling(untyped)).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => new BatchHandling(untyped)).code).toBe('INVALID_ARGUMENT')
  })
})
