/**
 * One run of a target under watch: what it throws, how long it takes and how much it allocates.
 *
 * Time is the processor's, not the clock's, so that a busy machine breaks nothing; a run that
 * never ends is the campaign's to notice.
 */
import { AllocationMeter } from './allocation-meter.ts'
import { BrokenPromise, type FuzzTarget } from './fuzz-target.ts'

/** What the targets' own work and small fixed buffers take. */
const FREE_BYTES = 65_536
/** A hundred times what the slowest input takes here. */
const MAX_CPU_MS = 2_000

/** Runs targets, one input after the other. */
export class CheckedRun {
  readonly #meter = new AllocationMeter()

  /**
   * Runs `target` on a copy of `input`.
   *
   * @throws what the target throws, or `BrokenPromise` for too much memory or time.
   */
  run(target: FuzzTarget, input: Buffer): void {
    const bytes = Buffer.from(input)
    const startedMs = performance.now()
    const startedCpu = process.cpuUsage().user
    this.#meter.reset()
    this.#meter.install()
    try {
      target.run(bytes)
    } finally {
      this.#meter.remove()
    }
    const limit = target.allocationLimit(input) + FREE_BYTES
    if (this.#meter.bytes > limit) {
      throw new BrokenPromise(`took ${this.#meter.bytes} bytes for ${input.length}: over ${limit}`)
    }
    if (performance.now() - startedMs < MAX_CPU_MS) return
    const cpuMs = (process.cpuUsage().user - startedCpu) / 1_000
    if (cpuMs > MAX_CPU_MS) throw new BrokenPromise(`took ${Math.round(cpuMs)} ms of the processor`)
  }
}
