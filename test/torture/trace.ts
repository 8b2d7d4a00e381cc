/**
 * A trace: what processes did to the files below a directory, call by call, and what they told in
 * between, in the order in which it happened. A call is there if it succeeded; one that nobody
 * waits for is there twice, when it began and when it was known to be over.
 *
 * Paths are relative to the root, with '/' between names; '' is the root. Descriptors are those of
 * the process: a number means the file that was opened last under it.
 */
import { readFileSync } from 'node:fs'
import { deserialize } from 'node:v8'
import type { LifeReport } from './crash-report.ts'
import type { Loss } from './crash-model.ts'

/** One thing that happened. */
export type TraceEvent =
  /** A process starts, after the one before has ended so. */
  | { readonly is: 'life'; readonly life: number; readonly after: Loss }
  | { readonly is: 'report'; readonly report: LifeReport }
  | {
      readonly is: 'open'
      readonly descriptor: number
      readonly path: string
      readonly mayCreate: boolean
      readonly truncates: boolean
    }
  | { readonly is: 'close'; readonly descriptor: number }
  /** `position` null: behind the last byte. */
  | {
      readonly is: 'write'
      readonly descriptor: number
      readonly position: number | null
      readonly bytes: Uint8Array
    }
  /** Zeros up to there, or a cut. */
  | { readonly is: 'resize'; readonly descriptor: number; readonly sizeBytes: number }
  /** At least so long, with zeros. */
  | { readonly is: 'grow'; readonly descriptor: number; readonly sizeBytes: number }
  | { readonly is: 'mkdir'; readonly path: string }
  | { readonly is: 'rename'; readonly from: string; readonly to: string }
  | { readonly is: 'link'; readonly from: string; readonly to: string }
  /** A file, or a directory with all that it holds. */
  | { readonly is: 'removal begins'; readonly call: number; readonly path: string }
  | { readonly is: 'removal ends'; readonly call: number }
  | { readonly is: 'sync begins'; readonly call: number; readonly descriptor: number }
  /** Failed: the system has forgotten what it was for. */
  | { readonly is: 'sync ends'; readonly call: number; readonly isFailed: boolean }

/** The events in a file of `FsRecorder`'s. */
export function readTrace(file: string): readonly TraceEvent[] {
  return deserialize(readFileSync(file)) as TraceEvent[] // The recorder wrote it.
}

const HARMLESS: ReadonlySet<TraceEvent['is']> = new Set([
  'life',
  'report',
  'close',
  'sync begins',
  'removal ends',
])

/** Events that leave the disk another one, or able to become another one: a cut comes before. */
export function changesDisk(event: TraceEvent): boolean {
  if (event.is === 'open') return event.mayCreate || event.truncates
  return !HARMLESS.has(event.is)
}
