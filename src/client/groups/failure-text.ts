/**
 * failureText: what a user's code threw, as a short text for messages and headers. Anything may be
 * thrown, and none of it may make the telling fail.
 */
import { describeValue } from '../check-options.ts'

/** Longer ones are cut: a header is no place for a document. */
const MAX_LENGTH = 4_096

/** `boom`, or `TypeError: boom` where its name says more than Error. */
export function failureText(error: unknown): string {
  if (typeof error === 'string') return cut(error)
  if (!(error instanceof Error)) return describeValue(error)
  const name: unknown = error.name
  const message: unknown = error.message
  const text = typeof message === 'string' ? message : describeValue(message)
  return cut(typeof name === 'string' && name !== 'Error' ? `${name}: ${text}` : text)
}

function cut(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text
}
