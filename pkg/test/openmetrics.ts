// A strict reader of OpenMetrics 1.0 text, written from the specification's grammar and the rules beside it, for the types
// gauge, counter and summary. It throws at the first thing that may not be.

import { isWellFormed } from '../src/codecs.js'

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  name: string
  type: string
  unit?: string
  help?: string
  samples: Sample[]
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const labelName = '[a-zA-Z_][a-zA-Z0-9_]*'
/** What may follow a backslash is left to the exposer by the grammar; here it has to be one of the three that mean something. */
const escaped = '(?:[^\\n"\\\\]|\\\\[n"\\\\])*'
const label = `${labelName}="${escaped}"`
const number = '(?:[-+]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][-+]?\\d+)?|[-+]?Inf|NaN)'
const descriptor = new RegExp(`^# (TYPE|UNIT|HELP) (${metricName}) (.*)$`, 'u')
const sample = new RegExp(`^(${metricName})(?:\\{((?:${label}(?:,${label})*)?)\\})? (${number})$`, 'u')

/** The ending that a sample of the type may have, and the label that it must have with it. */
const suffixes: Record<string, string[]> = { gauge: [''], counter: ['_total'], summary: ['', '_count', '_sum'] }

export function readOpenMetrics(text: string): Family[] {
  if (!text.endsWith('# EOF\n')) throw new Error('does not end with # EOF')
  if (text.includes('\r') || text.startsWith('\ufeff') || !isWellFormed(text))
    throw new Error('is not plain UTF-8 lines')
  const families = new Map<string, Family>()
  let family: Family | undefined
  for (const line of text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1)) {
    if (line.startsWith('#')) family = describe(line, family, families)
    else family = measure(line, family)
  }
  return [...families.values()]
}

function describe(line: string, family: Family | undefined, families: Map<string, Family>): Family {
  const [, what, name = '', value = ''] = descriptor.exec(line) ?? refuse('is no descriptor', line)
  if (what === 'TYPE') {
    if (families.has(name)) refuse('begins a family again', line)
    if (!suffixes[value]) refuse('has a type that is not read here', line)
    const begun: Family = { name: name, type: value, samples: [] }
    families.set(begun.name, begun)
    return begun
  }
  if (family?.name !== name || family?.samples.length !== 0) return refuse('describes another family', line)
  const key = what === 'UNIT' ? 'unit' : 'help'
  if (family[key] !== undefined || (key === 'unit' && family.help !== undefined)) refuse('is out of place', line)
  if (key === 'unit' && !name.endsWith(`_${value}`)) refuse('has a unit that is not in its name', line)
  if (key === 'help' && !new RegExp(`^${escaped}$`, 'u').test(value)) refuse('is not escaped', line)
  family[key] = value
  return family
}

function measure(line: string, family: Family | undefined): Family {
  const [, name = '', labelled = '', digits = ''] = sample.exec(line) ?? refuse('is no sample', line)
  if (!family || !suffixes[family.type]?.some((suffix) => name === family.name + suffix)) {
    return refuse('is a sample of no family above', line)
  }
  const pairs = [...labelled.matchAll(new RegExp(`(${labelName})="(${escaped})"`, 'gu'))].map(
    ([, key = '', value = '']) => [key, unescaped(value)] as const,
  )
  const labels = Object.fromEntries(pairs)
  if (Object.keys(labels).length < pairs.length) refuse('has a label twice', line)
  if (pairs.some(([key]) => key.startsWith('_'))) refuse('has a label whose name is reserved', line)
  const value = Number(digits.replace('Inf', 'Infinity'))
  judge(family, { name: name, labels, value }, line)
  family.samples.push({ name: name, labels, value })
  return family
}

function judge(family: Family, { name, labels, value }: Sample, line: string): void {
  const suffix = name.slice(family.name.length)
  const quantile = family.type === 'summary' && suffix === ''
  if (quantile !== 'quantile' in labels) refuse('has a quantile where none may be, or none where one has to be', line)
  if (quantile && !(Number(labels.quantile) >= 0 && Number(labels.quantile) <= 1)) refuse('is of no quantile', line)
  if (family.type !== 'gauge' && value < 0) refuse('is negative', line)
  if (suffix !== '' && Number.isNaN(value)) refuse('counts to NaN', line)
  if (suffix === '_count' && !Number.isInteger(value)) refuse('counts to a fraction', line)
  const metric = (of: Sample) =>
    JSON.stringify(
      Object.entries(of.labels)
        .filter(([key]) => key !== 'quantile')
        .sort(),
    )
  const own = metric({ name, labels, value })
  const last = family.samples.at(-1)
  if (last && metric(last) !== own && family.samples.some((before) => metric(before) === own)) {
    refuse('is interleaved with another metric', line)
  }
  if (
    family.samples.some(
      (before) => before.name === name && metric(before) === own && before.labels.quantile === labels.quantile,
    )
  ) {
    refuse('is there twice', line)
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
}

function refuse(why: string, line: string): never {
  throw new Error(`${JSON.stringify(line)} ${why}`)
}
