/**
 * docs/configuration.md, written from the table of settings in src/log/log-config.ts, so that the
 * page cannot say anything else than the code does. `npm run docs:configuration` writes it.
 */
import { readFileSync } from 'node:fs'
import { TOPIC_SETTINGS } from '../../src/log/log-config.ts'

const OPENING = readFileSync(new URL('configuration-opening.txt', import.meta.url), 'utf8')

/** The whole page. */
export function configurationPage(): string {
  const rows = Object.entries(TOPIC_SETTINGS).map(([name, setting]) => {
    const kafkaName = setting.kafkaName === null ? '' : `\`${setting.kafkaName}\``
    const cells = [
      `\`${name}\``,
      valueText(setting.default),
      allowedText(setting.rule),
      kafkaName,
      setting.meaning,
    ]
    return `| ${cells.join(' | ')} |`
  })
  return `${OPENING}
| setting | default | allowed | Kafka's name | |
|---|---|---|---|---|
${rows.join('\n')}
`
}

type Rule = (typeof TOPIC_SETTINGS)['partitions']['rule']

function allowedText(rule: Rule): string {
  switch (rule.kind) {
    case 'integer': {
      const range =
        rule.max === Number.MAX_SAFE_INTEGER
          ? `≥ ${valueText(rule.min)}`
          : `${valueText(rule.min)} … ${valueText(rule.max)}`
      return rule.never === true ? `−1, ${range}` : range
    }
    case 'ratio':
      return '0 … 1'
    case 'choice':
      return rule.of.map((choice) => valueText(choice)).join(', ')
    case 'boolean':
      return 'true, false'
    case 'names':
      return 'an array of group ids'
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en').replace('-', '−')
  if (typeof value === 'string') return `\`'${value}'\``
  return JSON.stringify(value)
}
