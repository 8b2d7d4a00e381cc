/** SimulationFailure: what the simulation throws where the library broke a promise. */

/** A broken promise of the library, or a bug of the simulation. */
export class SimulationFailure extends Error {
  override readonly name: string = 'SimulationFailure'
}

/** Throws unless `holds`; the message is made only then. */
export function must(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new SimulationFailure(message())
}
