/**
 * Makes this process look as if Node's permission model were on, until the test has finished: our
 * code then takes the calls that the model allows. What the model refuses is not refused: that is
 * shown by real processes (test/security/permission-model.test.ts).
 */
import { onTestFinished } from 'vitest'

/** Call it inside a running test. */
export function pretendPermissionModel(): void {
  Object.defineProperty(process, 'permission', { value: {}, configurable: true })
  onTestFinished(() => void Reflect.deleteProperty(process, 'permission'))
}
