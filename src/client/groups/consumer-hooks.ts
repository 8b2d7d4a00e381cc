/**
 * ConsumerHooks: the hooks that a user gave to `join`, called with the consumer. Held by the
 * consumer alone: were the member to hold them, what they close over could keep a consumer alive
 * that nobody uses.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { checkOptions, describeValue } from '../check-options.ts'
import type { JoinOptions, RebalanceListener, TopicPartition } from '../group-types.ts'
import type { Consumer } from './consumer.ts'
import type { MemberHooks } from './group-member.ts'
import type { PartitionsMoved } from './rebalance-queue.ts'

const HOOKS = ['onAssigned', 'onRevoked', 'onLost'] as const

/** The hooks of one consumer. */
export class ConsumerHooks implements MemberHooks {
  readonly #consumer: Consumer
  readonly #listeners: Readonly<Record<PartitionsMoved['kind'], RebalanceListener | undefined>>

  constructor(consumer: Consumer, { onAssigned, onRevoked, onLost }: JoinOptions) {
    this.#consumer = consumer
    this.#listeners = { assigned: onAssigned, revoked: onRevoked, lost: onLost }
  }

  tell(kind: PartitionsMoved['kind'], partitions: readonly TopicPartition[]): unknown {
    return this.#listeners[kind]?.(partitions, this.#consumer)
  }
}

/** @throws {LogError} INVALID_ARGUMENT naming the option, the value and what is allowed. */
export function checkJoinOptions(options: JoinOptions | undefined, where: string): JoinOptions {
  checkOptions(options, ['instanceId', ...HOOKS], where)
  const { instanceId } = options ?? {}
  if (instanceId !== undefined && (typeof instanceId !== 'string' || instanceId === '')) {
    throw invalidArgument(
      `${where}: instanceId is a string that is not empty, not ${describeValue(instanceId)}`,
      { option: 'instanceId', value: instanceId },
    )
  }
  for (const name of HOOKS) {
    const hook: unknown = options?.[name]
    if (hook === undefined || typeof hook === 'function') continue
    throw invalidArgument(`${where}: ${name} is a function, not ${describeValue(hook)}`, {
      option: name,
      value: hook,
    })
  }
  return options ?? {}
}
