/**
 * The handles by which users hold a transaction: one that ends with its function, and one that they
 * end themselves. Everything behind them is producer-transaction.ts.
 */
import type { OpenTransaction, Transaction } from './group-types.ts'
import type { ProducerTransaction } from './producer-transaction.ts'

/** For the function of `producer.transaction`, whose return commits. */
export function transactionHandle(transaction: ProducerTransaction): Transaction {
  const { send, sendAll, commitOffsets, abort } = transaction
  return { send, sendAll, commitOffsets, abort }
}

/** For `producer.begin`. */
export function openTransactionHandle(transaction: ProducerTransaction): OpenTransaction {
  const { commit, dispose } = transaction
  return { ...transactionHandle(transaction), commit, [Symbol.asyncDispose]: dispose }
}
