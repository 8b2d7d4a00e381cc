/**
 * checkOptions: refuses what is no options object and option names nobody knows, before anything
 * is done with the rest. A mistyped option that was passed over in silence would run with a default
 * that its author believes changed. Values are checked by whoever reads them.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'
import { nearestName } from '../errors/nearest-name.ts'

/**
 * Checks the names in `options`; undefined has none. `where` names the call, as in `log.producer`.
 * @throws {LogError} `INVALID_ARGUMENT`; for an unknown name with `{ option, nearest, known }`.
 */
export function checkOptions(options: unknown, known: readonly string[], where: string): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument(`${where}: options are an object, not ${describeValue(options)}`, {
      value: options,
    })
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw unknownName('option', name, known, where)
  }
}

/** The refusal of a name that is not in `known`; `kind` says what it would name. */
export function unknownName(
  kind: 'option' | 'property',
  name: string,
  known: readonly string[],
  where: string,
): LogError<'INVALID_ARGUMENT'> {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? 'there are none' : `did you mean '${nearest}'?`
  return invalidArgument(
    `${where}: unknown ${kind} '${name}', ${hint} Known: ${known.join(', ')}`,
    { [kind]: name, nearest, known },
  )
}

/** As `Array.isArray`, but what is in the array stays unknown. */
export function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

/** A value as an error message names it: short, and with its type where that is what is wrong. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`
  if (typeof value === 'bigint') return `the bigint ${value}n`
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'object') return describeObject(value)
  return value === undefined ? 'undefined' : `a ${typeof value}`
}

function describeObject(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return 'an object'
  const maker: unknown = value.constructor
  const name = typeof maker === 'function' ? maker.name : ''
  return name === '' ? 'an object' : `a value of class ${name}`
}

/** @throws {LogError} INVALID_ARGUMENT for what is no path. */
export function checkDirectory(directory: unknown, where: string): void {
  if (typeof directory === 'string' && directory !== '' && !directory.includes('\0')) return
  throw invalidArgument(`${where}: directory is a path, not ${describeValue(directory)}`, {
    directory,
  })
}
