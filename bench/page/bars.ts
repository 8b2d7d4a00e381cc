/**
 * Bars: one case, a bar for each contestant, and on it a line from its lowest round to its highest.
 */
import { shortNumber } from '../runner/report.ts'
import type { Summary } from '../runner/statistics.ts'
import type { Role } from '../runner/question.ts'
import { barScale, type Scale } from './scale.ts'
import { element, textElement, WIDTH } from './svg.ts'

/** One bar. */
export interface Bar {
  readonly name: string
  readonly role: Role
  readonly figure: Summary
}

/** Bars that are compared. */
export interface BarPanel {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

/** What was drawn, and how much of the page it took. */
export interface Drawn {
  readonly elements: readonly string[]
  readonly height: number
}

const NAMES_END = 220
const BARS_START = 230
const BARS_END = 630
const FIGURES_END = WIDTH - 10
const TITLE_HEIGHT = 24
const ROW_HEIGHT = 20
const BAR_HEIGHT = 13
const AXIS_HEIGHT = 26

/** Draws a panel from `top` on. */
export function drawBars({ title, unit, bars }: BarPanel, top: number): Drawn {
  const scale = barScale(
    bars.flatMap(({ figure }) => [figure.lowest, figure.highest]),
    BARS_START,
    BARS_END,
  )
  const rowsTop = top + TITLE_HEIGHT
  const bottom = rowsTop + bars.length * ROW_HEIGHT
  const elements = [
    textElement(title, { class: 'title', x: 10, y: top + 15 }),
    textElement(scale.isLog ? `${unit}, logarithmic` : unit, {
      class: 'quiet',
      x: FIGURES_END,
      y: top + 15,
      'text-anchor': 'end',
    }),
    ...axis(scale, rowsTop, bottom),
    ...bars.flatMap((bar, row) => drawBar(bar, scale, rowsTop + row * ROW_HEIGHT)),
  ]
  return { elements, height: bottom + AXIS_HEIGHT - top }
}

function axis({ marks, at }: Scale, top: number, bottom: number): readonly string[] {
  return marks.flatMap((mark) => [
    element('line', { class: 'grid', x1: at(mark), x2: at(mark), y1: top, y2: bottom }),
    textElement(shortMark(mark), {
      class: 'quiet',
      x: at(mark),
      y: bottom + 13,
      'text-anchor': 'middle',
    }),
  ])
}

function drawBar({ name, role, figure }: Bar, { at }: Scale, top: number): readonly string[] {
  const middle = top + ROW_HEIGHT / 2
  const { median, lowest, highest } = figure
  const length = Math.max(1, at(median) - BARS_START)
  const whisker =
    `M${at(lowest).toFixed(1)} ${middle}H${at(highest).toFixed(1)}` +
    `M${at(lowest).toFixed(1)} ${middle - 3}v6M${at(highest).toFixed(1)} ${middle - 3}v6`
  return [
    textElement(name, { x: NAMES_END, y: middle + 4, 'text-anchor': 'end' }),
    element('rect', {
      class: role,
      x: BARS_START,
      y: middle - BAR_HEIGHT / 2,
      width: length,
      height: BAR_HEIGHT,
    }),
    ...(highest > lowest ? [element('path', { class: 'spread', d: whisker })] : []),
    textElement(shortNumber(median), { x: FIGURES_END, y: middle + 4, 'text-anchor': 'end' }),
  ]
}

/** 2,000,000 as 2 M: marks stand close. */
export function shortMark(value: number): string {
  for (const [power, letter] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (value >= power) return `${shortNumber(value / power)}${letter}`
  }
  return shortNumber(value)
}
