/**
 * SVG as text: elements, and the document around them. The same input gives the same bytes, with
 * coordinates to a tenth. Colors are by role and change with the reader's scheme; the ground is
 * drawn too, so that a page of the other scheme does not swallow the text.
 */

/** Attributes of an element; numbers are rounded. */
export type Attributes = Readonly<Record<string, string | number>>

/** Across, in pixels, of every plot. */
export const WIDTH = 760

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .quiet { fill: #59636e; font-size: 11px }
  .ground { fill: #ffffff }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .spread { stroke: #1f2328; stroke-width: 1.2; fill: none }
  .line { stroke-width: 2; fill: none }
  .ours { fill: #0969da } .line.ours { stroke: #0969da; fill: none }
  .peer { fill: #d4772c } .line.peer { stroke: #d4772c; fill: none }
  .limit { fill: #8c959f } .line.limit { stroke: #8c959f; fill: none; stroke-dasharray: 5 3 }
  .series-0 { fill: #0969da } .line.series-0 { stroke: #0969da; fill: none }
  .series-1 { fill: #d4772c } .line.series-1 { stroke: #d4772c; fill: none }
  .series-2 { fill: #1a7f37 } .line.series-2 { stroke: #1a7f37; fill: none }
  .series-3 { fill: #bf3989 } .line.series-3 { stroke: #bf3989; fill: none }
  .series-4 { fill: #8250df } .line.series-4 { stroke: #8250df; fill: none }
  .series-5 { fill: #6e7781 } .line.series-5 { stroke: #6e7781; fill: none }
  .series-6 { fill: #b58407 } .line.series-6 { stroke: #b58407; fill: none }
  .series-7 { fill: #1b9aaa } .line.series-7 { stroke: #1b9aaa; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .ground { fill: #0d1117 }
    .grid { stroke: #3d444d }
    .spread { stroke: #f0f6fc }
  }`

/** One element. */
export function element(name: string, attributes: Attributes, ...inner: readonly string[]): string {
  const written = Object.entries(attributes)
    .map(
      ([key, value]) => ` ${key}="${typeof value === 'number' ? rounded(value) : escaped(value)}"`,
    )
    .join('')
  return inner.length === 0
    ? `<${name}${written}/>`
    : `<${name}${written}>${inner.join('')}</${name}>`
}

/** A line of text; `attributes` say where. */
export function textElement(text: string, attributes: Attributes): string {
  return element('text', attributes, escaped(text))
}

/** A whole document of `body`, of `height` pixels; `title` is read out to who cannot see it. */
export function svgDocument(title: string, height: number, body: readonly string[]): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${rounded(height)}`,
    width: WIDTH,
    height,
    role: 'img',
  }
  const ground = element('rect', { class: 'ground', x: 0, y: 0, width: WIDTH, height })
  const inner = [element('title', {}, escaped(title)), `<style>${STYLE}\n</style>`, ground, ...body]
  return `${element('svg', attributes, ...inner.map((line) => `\n${line}`), '\n')}\n`
}

function rounded(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
