/**
 * Records of the topic of transactions, which any broker may have written.
 *
 *   transaction-states   byte 0 is the length of a key, which follows; the rest is a value
 */
import {
  encodeTransactionKey,
  encodeTransactionValue,
  readTransactionKey,
  readTransactionValue,
} from '../../src/format/transaction-state.ts'
import { type FuzzTarget, promise, promiseEqual } from '../fuzz-target.ts'
import { sameAnywhere } from './same-anywhere.ts'

/** See the file's header. */
export const transactionStateTarget: FuzzTarget = {
  name: 'transaction-states',
  maxInputBytes: 512,
  allocationLimit: (input) => 64 * input.length + 4_096,
  run(input) {
    const keyEnd = Math.min(1 + (input[0] ?? 0), input.length)
    const id = sameAnywhere(input.subarray(1, keyEnd), readTransactionKey)
    const state = sameAnywhere(input.subarray(keyEnd), readTransactionValue)
    if (id !== undefined) {
      const again = sameAnywhere(encodeTransactionKey(id), readTransactionKey)
      promiseEqual(again, id, 'a key means the same, written again')
    }
    if (state === undefined) return
    promise(Number.isSafeInteger(state.producerId), 'a producer id is a number')
    for (const { partitions } of state.topics ?? []) {
      promise(Math.min(0, ...partitions) >= 0, 'no partition is negative')
    }
    // Written are values of version 0, which do not tell how a client spoke.
    const again = sameAnywhere(encodeTransactionValue(state), readTransactionValue)
    const { clientTransactionVersion: _version, ...said } = state
    promiseEqual(again, { ...said, clientTransactionVersion: 0 }, 'a value means the same again')
  },
}
