/**
 * The plot of a question: bars, a panel for each case; or lines, where the cases, or the
 * contestants, are sizes of one thing ('64 MiB, closed cleanly', '10,000 partitions').
 */
import { isMoreBetter } from '../runner/figures.ts'
import { rowsOf } from '../runner/statistics.ts'
import type { Role } from '../runner/question.ts'
import type { CaseResult, QuestionResult } from '../runner/results.ts'
import { drawBars, type BarPanel, type Drawn } from './bars.ts'
import { drawLines, type LinePanel, type Point } from './lines.ts'
import { svgDocument, textElement } from './svg.ts'

/** One figure, found. */
interface Found {
  readonly caseName: string
  readonly name: string
  readonly role: Role
  readonly heading: string
  readonly figure: Point['figure']
}

/** A name that starts with a number. */
interface Sized {
  readonly x: number
  readonly label: string
  /** What follows the number: those of one kind are one line. */
  readonly of: string
}

const HEAD_HEIGHT = 34
const GAP = 14
const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 2 ** 30 }
/** With fewer sizes, bars say it better, unless size is what the question is about. */
const SIZES_FOR_LINES = 4

/** The plot of a question; undefined where there is nothing to show. */
export function plotOf(result: QuestionResult): string | undefined {
  const found = result.cases.flatMap((one) => foundIn(result, one))
  const main = found.filter(({ heading }) => heading === mainHeading(result))
  if (main.length === 0) return undefined
  const lines = linePanels(result, found)
  const draw: readonly ((top: number) => Drawn)[] =
    lines.length > 0
      ? lines.map((panel) => (top) => drawLines(panel, top))
      : barPanels(main).map((panel) => (top) => drawBars(panel, top))
  const elements: string[] = []
  let top = HEAD_HEIGHT
  for (const one of draw) {
    const drawn = one(top)
    elements.push(...drawn.elements)
    top += drawn.height + GAP
  }
  const better = result.answer === 'time' ? 'less is better' : 'more is better'
  const head = textElement(`${result.question}: ${better}`, { class: 'title', x: 10, y: 20 })
  return svgDocument(`${result.question}: ${result.asks}`, top, [head, ...elements])
}

function mainHeading({ answer }: QuestionResult): string {
  return answer === 'time' ? 'ms' : 'records/s'
}

function foundIn(result: QuestionResult, { name: caseName, answers }: CaseResult): Found[] {
  return rowsOf(result.answer, answers).flatMap(({ name, role, figures }) =>
    Object.entries(figures).map(([heading, figure]) => ({ caseName, name, role, heading, figure })),
  )
}

function barPanels(found: readonly Found[]): readonly BarPanel[] {
  return [...grouped(found, ({ caseName }) => caseName)].map(([title, of]) => {
    const isShort = of.every(({ heading, figure }) => heading === 'ms' && figure.highest < 1)
    return {
      title,
      unit: isShort ? 'µs' : (of[0]?.heading ?? ''),
      bars: of.map(({ name, role, figure }) => ({
        name,
        role,
        figure: isShort ? inMicroseconds(figure) : figure,
      })),
    }
  })
}

function inMicroseconds(ms: Point['figure']): Point['figure'] {
  const { median, lowest, highest } = ms
  return { ...ms, median: median * 1e3, lowest: lowest * 1e3, highest: highest * 1e3 }
}

/** Lines over the sizes of cases, else of contestants; none where neither are sizes. */
function linePanels(result: QuestionResult, found: readonly Found[]): readonly LinePanel[] {
  const main = mainHeading(result)
  const isAboutSize = result.question.startsWith('scaling-')
  const byCase = found.filter(
    ({ heading }) => heading === main || (isAboutSize && isExtra(heading)),
  )
  const panels = [
    ...grouped(byCase, ({ caseName, heading }) =>
      JSON.stringify([sizeOf(caseName)?.of, heading]),
    ).values(),
  ].flatMap((of) =>
    panelOver(
      of,
      ({ caseName }) => caseName,
      ({ name }) => name,
    ),
  )
  const isWhole =
    panels.length > 0 && byCase.every(({ caseName }) => sizeOf(caseName) !== undefined)
  if (isWhole && panels.every(({ sizeCount }) => sizeCount >= (isAboutSize ? 2 : SIZES_FOR_LINES)))
    return panels
  const inMain = found.filter(({ heading }) => heading === main)
  if (!isAboutSize || inMain.some(({ name }) => sizeOf(name) === undefined)) return []
  return panelOver(
    inMain,
    ({ name }) => name,
    ({ caseName }) => caseName,
    'ours',
  )
}

/** Memory, and what the question measured besides its answer. */
function isExtra(heading: string): boolean {
  return /\bMB\b/.test(heading) && !isMoreBetter(heading)
}

function panelOver(
  found: readonly Found[],
  sizedName: (one: Found) => string,
  seriesName: (one: Found) => string,
  role?: Role,
): readonly (LinePanel & { readonly sizeCount: number })[] {
  const sized = found.flatMap((one) => {
    const size = sizeOf(sizedName(one))
    return size === undefined || one.figure.median <= 0 ? [] : [{ one, size }]
  })
  const first = sized[0]
  if (first === undefined) return []
  const series = [...grouped(sized, ({ one }) => seriesName(one))].map(([name, of]) => ({
    name,
    role: role ?? of[0]?.one.role ?? 'ours',
    points: of.map(({ one, size }) => ({ x: size.x, label: size.label, figure: one.figure })),
  }))
  const sizeCount = new Set(sized.map(({ size }) => size.x)).size
  const title = [first.one.heading, first.size.of].filter((part) => part !== '').join(', ')
  return [{ title, series, sizeCount }]
}

function sizeOf(name: string): Sized | undefined {
  const groups = /^(?<count>[\d,.]+) ?(?<unit>B|KiB|MiB|GiB)?(?![\w.])[, ]*(?<of>.*)$/.exec(
    name,
  )?.groups
  if (groups === undefined) return undefined
  const { count = '', unit, of = '' } = groups
  const number = Number(count.replaceAll(',', ''))
  const x = unit === undefined ? number : number * (BYTES[unit] ?? 1)
  const label = unit === undefined ? number.toLocaleString('en-US') : `${count} ${unit}`
  return { x, label, of }
}

function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
