/**
 * Lines: how a figure grows with the number in the names of the cases (partitions, bytes), both on
 * logarithmic scales: what costs the same for each is a straight line, what does not depend on it
 * is a level one. Each line has its name at its end.
 */
import type { Role } from '../runner/question.ts'
import type { Summary } from '../runner/statistics.ts'
import { shortMark, type Drawn } from './bars.ts'
import { logScale, sizeScale, type Scale } from './scale.ts'
import { element, textElement, WIDTH } from './svg.ts'

/** One line. */
export interface Series {
  readonly name: string
  readonly role: Role
  readonly points: readonly Point[]
}

/** A figure at one place. */
export interface Point {
  readonly x: number
  /** As it is written below the axis. */
  readonly label: string
  readonly figure: Summary
}

/** Lines that are compared. */
export interface LinePanel {
  /** Says the unit too. */
  readonly title: string
  readonly series: readonly Series[]
}

const LEFT = 64
const RIGHT = 530
/** Of the first and the last size, from the ends of the axis. */
const INSET = 20
const TITLE_HEIGHT = 30
const PLOT_HEIGHT = 190
const AXIS_HEIGHT = 34
const LABEL_HEIGHT = 14
/** Colors there are for lines, told apart by those who see them in shades too. */
const COLOR_COUNT = 8

/** Draws a panel from `top` on. */
export function drawLines({ title, series }: LinePanel, top: number): Drawn {
  const points = series.flatMap((one) => one.points)
  const bottom = top + TITLE_HEIGHT + PLOT_HEIGHT
  const across = sizeScale(
    points.map(({ x }) => x),
    LEFT + INSET,
    RIGHT - INSET,
  )
  const spans = points.flatMap(({ figure }) => [figure.lowest, figure.highest])
  const up = logScale(spans, bottom, top + TITLE_HEIGHT)
  const classes = classesOf(series)
  const elements = [
    textElement(title, { class: 'title', x: 10, y: top + 15 }),
    ...level(up, top),
    ...upright(points, across, top + TITLE_HEIGHT, bottom),
    ...series.flatMap((one, index) => drawSeries(one, classes[index] ?? '', across, up)),
    ...names(series, classes, up, top + TITLE_HEIGHT, bottom),
  ]
  return { elements, height: TITLE_HEIGHT + PLOT_HEIGHT + AXIS_HEIGHT }
}

function level({ marks, at }: Scale, top: number): readonly string[] {
  const lines = marks.flatMap((mark) => [
    element('line', { class: 'grid', x1: LEFT, x2: RIGHT, y1: at(mark), y2: at(mark) }),
    textElement(shortMark(mark), {
      class: 'quiet',
      x: LEFT - 6,
      y: at(mark) + 4,
      'text-anchor': 'end',
    }),
  ])
  const place = { class: 'quiet', x: WIDTH - 10, y: top + 15, 'text-anchor': 'end' }
  return [...lines, textElement('both axes logarithmic', place)]
}

function upright(
  points: readonly Point[],
  { at }: Scale,
  top: number,
  bottom: number,
): readonly string[] {
  const labels = new Map(points.map(({ x, label }) => [x, label]))
  return [...labels].flatMap(([x, label]) => [
    element('line', { class: 'grid', x1: at(x), x2: at(x), y1: top, y2: bottom }),
    textElement(label, { class: 'quiet', x: at(x), y: bottom + 15, 'text-anchor': 'middle' }),
  ])
}

function drawSeries(
  { points }: Series,
  colors: string,
  across: Scale,
  up: Scale,
): readonly string[] {
  const sorted = points.toSorted((a, b) => a.x - b.x)
  const path = sorted
    .map(({ x, figure }, index) => {
      const place = `${across.at(x).toFixed(1)} ${up.at(figure.median).toFixed(1)}`
      return `${index === 0 ? 'M' : 'L'}${place}`
    })
    .join('')
  const marks = sorted.flatMap(({ x, figure }) => [
    element('line', {
      class: 'spread',
      x1: across.at(x),
      x2: across.at(x),
      y1: up.at(figure.lowest),
      y2: up.at(figure.highest),
    }),
    element('circle', { class: colors, cx: across.at(x), cy: up.at(figure.median), r: 3.5 }),
  ])
  return [element('path', { class: `line ${colors}`, d: path }), ...marks]
}

/** Names beside the last points, moved apart where these lie close. */
function names(
  series: readonly Series[],
  classes: readonly string[],
  up: Scale,
  top: number,
  bottom: number,
): readonly string[] {
  const wanted = series
    .map(({ name, points }, index) => {
      const last = points.toSorted((a, b) => a.x - b.x).at(-1)
      return { name, colors: classes[index] ?? '', y: up.at(last?.figure.median ?? 0) }
    })
    .toSorted((a, b) => a.y - b.y)
  let free = Math.min(top, bottom - wanted.length * LABEL_HEIGHT)
  return wanted.flatMap(({ name, colors, y }, index) => {
    const lowest = bottom - (wanted.length - 1 - index) * LABEL_HEIGHT
    const place = Math.min(Math.max(y, free), lowest)
    free = place + LABEL_HEIGHT
    return [
      element('rect', { class: colors, x: RIGHT + 14, y: place - 5, width: 9, height: 9 }),
      textElement(name, { x: RIGHT + 28, y: place + 4 }),
    ]
  })
}

/** A color each; limits are gray and dashed, because nobody is meant to pass them. */
function classesOf(series: readonly Series[]): readonly string[] {
  let next = 0
  return series.map(({ role }) => (role === 'limit' ? 'limit' : `series-${next++ % COLOR_COUNT}`))
}
