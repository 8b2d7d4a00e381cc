/**
 * Scales: from a figure to a place on an axis, with the marks that an axis shows. Linear ones start
 * at zero, so that a bar's length is its figure; logarithmic ones at a power of ten below all.
 */

/** From a figure to pixels, and what is marked. */
export interface Scale {
  readonly isLog: boolean
  readonly marks: readonly number[]
  at(value: number): number
}

/** Figures further apart than this are shown on a logarithmic scale. */
const LOG_FROM_RATIO = 100
const MARKS_WANTED = 4

/** A scale for bars: linear, unless the smallest would be invisible then. */
export function barScale(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0)
  const highest = Math.max(...positive)
  const isFlat = highest / Math.min(...positive) < LOG_FROM_RATIO
  return isFlat || positive.length === 0
    ? linearScale(positive.length === 0 ? 1 : highest, from, to)
    : logScale(positive, from, to)
}

/** A logarithmic scale over all `values`; those that are not positive lie at its start. */
export function logScale(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0)
  const low = Math.floor(Math.log10(Math.min(...positive)) - 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9))
  const step = Math.ceil((high - low) / 6)
  const marks = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) =>
    Number(`1e${low + index * step}`),
  )
  const at = (value: number): number => {
    const part = (Math.log10(Math.max(value, Number(`1e${low}`))) - low) / (high - low)
    return from + part * (to - from)
  }
  return { isLog: true, marks, at }
}

/** A logarithmic scale from the smallest of `values` to the largest, which are marked by others. */
export function sizeScale(values: readonly number[], from: number, to: number): Scale {
  const low = Math.log10(Math.min(...values))
  const span = Math.log10(Math.max(...values)) - low
  const at = (value: number): number =>
    span === 0 ? (from + to) / 2 : from + ((Math.log10(value) - low) / span) * (to - from)
  return { isLog: true, marks: [], at }
}

function linearScale(highest: number, from: number, to: number): Scale {
  const rough = highest / MARKS_WANTED
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const count = Math.floor(highest / step + 1e-9)
  const marks = Array.from({ length: count + 1 }, (_, index) => index * step)
  return { isLog: false, marks, at: (value) => from + (value / highest) * (to - from) }
}
