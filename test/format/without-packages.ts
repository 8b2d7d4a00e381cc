/**
 * Runs code as on a machine where some packages are not installed: `require` does not find them,
 * and src/ is loaded anew, so that nothing remembers having found them before.
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
  const hooks = Module as unknown as { _load: Load; _resolveFilename: Load }
  const { _load, _resolveFilename } = hooks
  const refuse = (request: string): void => {
    if (names.includes(request)) throw new Error(`no package ${request} here`)
  }
  hooks._load = function (this: unknown, request, ...rest) {
    refuse(request)
    return _load.call(this, request, ...rest)
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
