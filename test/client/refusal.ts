/** What the tests of the client's pure pieces share: the LogError that a call must end in. */
import { LogError } from '../../src/errors/log-error.ts'

/** The LogError that `call` throws. Fails where it returns or throws something else. */
export function refusal(call: () => unknown): LogError {
  try {
    call()
  } catch (error) {
    if (LogError.is(error)) return error
    throw error
  }
  throw new Error('the call was not refused')
}

/** The LogError that `pending` rejects with. */
export async function rejection(pending: Promise<unknown> | undefined): Promise<LogError> {
  try {
    await pending
  } catch (error) {
    if (LogError.is(error)) return error
    throw error
  }
  throw new Error('the promise was not rejected')
}
