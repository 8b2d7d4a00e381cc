/**
 * The assignors by name, and the check of the `assignor` option.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { describeValue } from '../check-options.ts'
import type { Assignor } from '../group-types.ts'
import type { GroupAssignor } from './group-assignor.ts'
import { rangeAssignor } from './range-assignor.ts'
import { roundRobinAssignor } from './round-robin-assignor.ts'
import { cooperativeStickyAssignor, stickyAssignor } from './sticky-assignor.ts'
import { userAssignor } from './user-assignor.ts'

const ASSIGNORS: ReadonlyMap<string, GroupAssignor> = new Map(
  [cooperativeStickyAssignor, rangeAssignor, roundRobinAssignor, stickyAssignor].map((assignor) => [
    assignor.name,
    assignor,
  ]),
)

/**
 * The assignor that an option names or is; cooperative-sticky where it is undefined. Two groups of
 * options agree where the names do.
 * @throws {LogError} INVALID_ARGUMENT for any other value.
 */
export function assignorOf(option: unknown, where: string): GroupAssignor {
  if (option === undefined) return cooperativeStickyAssignor
  const builtIn = typeof option === 'string' ? ASSIGNORS.get(option) : undefined
  if (builtIn !== undefined) return builtIn
  if (!isAssignor(option)) {
    const names = [...ASSIGNORS.keys()].join(', ')
    const allowed = `one of ${names} or an object with a name and an assign function`
    throw invalidArgument(`${where}: assignor is ${allowed}, not ${describeValue(option)}`, {
      option: 'assignor',
      allowed,
    })
  }
  if (ASSIGNORS.has(option.name)) {
    const message = `${where}: assignor name ${option.name} is taken by a built-in one`
    throw invalidArgument(`${message}: give yours another name`, { assignor: option.name })
  }
  return userAssignor(option)
}

function isAssignor(value: unknown): value is Assignor {
  if (typeof value !== 'object' || value === null) return false
  const { name, assign } = value as { readonly name?: unknown; readonly assign?: unknown } // reads
  return typeof name === 'string' && name !== '' && typeof assign === 'function'
}
