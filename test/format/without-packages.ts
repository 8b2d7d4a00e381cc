/**
 * Runs code as on a machine where some packages are not installed, or are others than they should
 * be: `require` does not find them, or finds those, and src/ is loaded anew, so that nothing
 * remembers having found them before.
 */
import Module from 'node:module'
import { vi } from 'vitest'

type Load = (request: string, ...rest: readonly unknown[]) => unknown

/** Loads a module of src/format/ anew and hands it to `run`; `names` cannot be loaded meanwhile. */
export async function withoutPackages<T>(
  names: readonly string[],
  load: () => Promise<T>,
  run: (loaded: T) => void,
): Promise<void> {
  await withOtherPackages(new Map(names.map((name) => [name, null])), load, run)
}

/**
 * As `withoutPackages`: what is required by a name of `others`, or by a path that ends so, is what
 * stands there; null for nothing.
 */
export async function withOtherPackages<T>(
  others: ReadonlyMap<string, unknown>,
  load: () => Promise<T>,
  run: (loaded: T) => void,
): Promise<void> {
  const hooks = Module as unknown as { _load: Load; _resolveFilename: Load }
  const { _load, _resolveFilename } = hooks
  const nameOf = (request: string): string | undefined =>
    [...others.keys()].find((name) => request === name || request.endsWith(`/${name}`))
  const refuse = (request: string): void => {
    const name = nameOf(request)
    const isMissing = name !== undefined && others.get(name) === null
    if (isMissing) throw new Error(`no package ${request} here`)
  }
  hooks._load = function (this: unknown, request, ...rest) {
    refuse(request)
    const name = nameOf(request)
    return name === undefined ? _load.call(this, request, ...rest) : others.get(name)
  }
  hooks._resolveFilename = function (this: unknown, request, ...rest) {
    refuse(request)
    return _resolveFilename.call(this, request, ...rest)
  }
  vi.resetModules()
  try {
    run(await load())
  } finally {
    Object.assign(hooks, { _load, _resolveFilename })
    vi.resetModules()
  }
}
