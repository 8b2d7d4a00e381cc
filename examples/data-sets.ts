/**
 * Real data for the quickstart: every row of six tables that ship with the npm package
 * vega-datasets, as one keyed event each. Always the same rows in the same order: whoever reads
 * the package again can tell what a log that was filled from it must hold.
 */
import { readFileSync } from 'node:fs'

/** One row of one table: where it comes from, and its columns. */
export interface DataEvent {
  readonly dataSet: string
  readonly row: number
  readonly columns: Readonly<Record<string, string | number>>
}

/** An event under the key that decides on its partition. */
export interface KeyedEvent {
  readonly key: string
  readonly value: DataEvent
}

/** The tables, and the column by which each is keyed. */
const DATA_SETS = [
  { file: 'birdstrikes.csv', keyColumn: 'Origin State' },
  { file: 'flights-20k.json', keyColumn: 'origin' },
  { file: 'flights-200k.json', keyColumn: 'distance' },
  { file: 'zipcodes.csv', keyColumn: 'county' },
  { file: 'weather.csv', keyColumn: 'location' },
  { file: 'github.csv', keyColumn: 'time' },
] as const

/** The package's entry point is beside its data. */
const DIRECTORY = new URL('../data/', import.meta.resolve('vega-datasets'))

/** Every row of every table. */
export function loadEvents(): readonly KeyedEvent[] {
  const events: KeyedEvent[] = []
  for (const { file, keyColumn } of DATA_SETS) {
    const text = readFileSync(new URL(file, DIRECTORY), 'utf8')
    const dataSet = file.slice(0, file.lastIndexOf('.'))
    for (const [row, columns] of rowsOf(file, text).entries()) {
      events.push({
        key: `${dataSet}/${columns[keyColumn] ?? ''}`,
        value: { dataSet, row, columns },
      })
    }
  }
  return events
}

function rowsOf(file: string, text: string): readonly DataEvent['columns'][] {
  if (file.endsWith('.json')) return JSON.parse(text) as DataEvent['columns'][] // an array of rows
  const [names = [], ...rows] = parseCsv(text)
  return rows.map((cells) =>
    Object.fromEntries(names.map((name, column) => [name, cells[column] ?? ''])),
  )
}

/** Rows of cells. A cell in quotes may hold commas, line ends and doubled quotes (RFC 4180). */
function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = []
  let cells: string[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex
    const [, quoted, plain = '', end] = cell.exec(text) ?? []
    if (end === undefined) throw new Error(`this is no CSV: ${text.slice(at, at + 40)}`)
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === ',') continue
    rows.push(cells)
    cells = []
  }
  return rows
}
