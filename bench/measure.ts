/**
 * Takes one measurement, or fills one store, in a process of its own, and prints what came of it as
 * one line of JSON. Started by runner/rounds.ts; by hand it is what a profiler runs:
 *
 *   node --cpu-prof bench/dist/measure.js '{"question":"append-throughput","case":"100 B, batches
 *   of 100","contestant":"streambed","directory":"/tmp/empty","quick":true,"fill":false}'
 */
import { questions } from './questions.ts'
import type { Errand } from './runner/rounds.ts'

const errand = JSON.parse(process.argv[2] ?? '{}') as Errand // Written by rounds.ts.
const { quick, directory } = errand
const question = questions.find(({ name }) => name === errand.question)
const asked = question?.cases({ quick }).find(({ name }) => name === errand.case)
const contestant = asked?.contestants.find(({ name }) => name === errand.contestant)
if (contestant === undefined) throw new Error(`nobody answers ${process.argv[2]}`)
if (errand.fill) await contestant.store?.fill(directory)
else console.log(JSON.stringify(await contestant.measure(directory)))
