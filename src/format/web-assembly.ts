/**
 * WebAssembly, which every Node.js has unless it is told otherwise, and whose types Node.js's own
 * leave out.
 */

/** The two constructors that are used. */
interface WebAssemblyConstructors {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (program: object, imports: object) => { readonly exports: object }
}

/** WebAssembly of this process; throws where it has none. */
export function webAssembly(): WebAssemblyConstructors {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyConstructors } // by the standard
  if (WebAssembly === undefined) throw new ReferenceError('this process has no WebAssembly')
  return WebAssembly
}
