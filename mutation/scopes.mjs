/**
 * What is mutated together, and by which tests: a mutant costs a run of every test that reaches it,
 * so each file names those that are to notice.
 */

/** Tests that reach all of recovery, a little at a time: for files that nothing else asks alone. */
const WHOLE_RECOVERIES = [
  ...['recovery-rules', 'recovery-accepted', 'recovery-damage', 'recovery-tears', 'index-ends'],
  ...['unreadable-sector', 'uncovered-fields', 'log-cursor', 'directory-open', 'broker-changes'],
]

/** By file of src/log/: its tests in test/log/. */
const RECOVERY = {
  recovery: WHOLE_RECOVERIES,
  'recovery-start': ['recovery-start'],
  'log-cut': ['log-cut'],
  'sealed-end': ['sealed-end'],
  'segment-scan': ['segment-scan'],
  'batch-walk': ['batch-walk'],
  'damage-search': WHOLE_RECOVERIES,
  'sector-reads': ['sector-reads'],
  'log-window': ['log-window'],
  'batch-summary': WHOLE_RECOVERIES,
  'leader-epochs': ['leader-epochs'],
  'partition-open': ['partition-open'],
  'described-segments': ['described-segments', 'partition-open'],
  'partition-evidence': ['partition-open'],
  'directory-evidence': ['directory-evidence'],
  'directory-open': WHOLE_RECOVERIES,
}

/** By file of src/format/: its tests in test/format/, and targets of fuzz/ as `fuzz <name>`. */
const FORMAT = {
  'aborted-transaction': ['aborted-transaction', 'fuzz aborted-transactions'],
  compression: ['compression', 'other-packages'],
  'control-record': ['control-record', 'fuzz control-records'],
  crc32c: ['crc32c', 'crc32c-wasm', 'other-packages'],
  'crc32c-wasm': ['crc32c-wasm'],
  'decompression-failure': ['compression', 'gzip-codec'],
  'empty-batch': ['empty-batch'],
  'gzip-codec': ['gzip-codec', 'compression'],
  'group-partition': ['offset-commit'],
  int64: ['int64'],
  'lz4-block': ['lz4-codec', 'compression', 'fuzz lz4-block'],
  'lz4-codec': ['lz4-codec', 'compression', 'other-packages', 'fuzz lz4'],
  murmur2: ['murmur2'],
  'murmur2-text': ['murmur2-text'],
  'offset-commit': ['offset-commit'],
  'offset-index-entry': ['index-entries', 'fuzz index-entries'],
  'producer-snapshot': ['producer-snapshot', 'fuzz producer-snapshot'],
  record: ['record-batch-builder', 'record-batch-reader', 'edges-of-batches', 'fuzz records'],
  'record-batch': ['record-batch', 'edges-of-batches', 'retained-batch', 'fuzz batch'],
  'record-batch-builder': ['record-batch-builder', 'edges-of-batches'],
  'record-batch-reader': [
    ...['record-batch-reader', 'edges-of-batches', 'short-records', 'resumed-reads'],
  ],
  'record-fields': ['record-fields'],
  'retained-batch': ['retained-batch', 'fuzz batch'],
  'segment-name': ['segment-name', 'fuzz names'],
  'snappy-block': ['snappy-codec', 'fuzz snappy-block'],
  'snappy-codec': ['snappy-codec', 'compression', 'fuzz snappy'],
  'time-index-entry': ['index-entries', 'fuzz index-entries'],
  'topic-name': ['topic-name', 'fuzz names'],
  'transaction-state': ['transaction-state', 'fuzz transaction-states'],
  varint: ['varint', 'fuzz varints'],
  'web-assembly': ['crc32c-wasm', 'zstd-codec'],
  'xx-hash32': ['lz4-codec'],
  'zstd-codec': ['zstd-codec', 'built-in-zstd', 'fuzz zstd'],
  'zstd-frame': ['zstd-codec', 'built-in-zstd', 'fuzz zstd'],
  'zstd-wasm': ['zstd-codec', 'other-packages'],
}

/** By name of the scope, then by file of src/: ids of tests start with one of these. */
export const SCOPES = {
  format: testsByFile('format', FORMAT),
  recovery: testsByFile('log', RECOVERY),
}

/** The scope that `STREAMBED_MUTATE` names, narrowed to the files in `STREAMBED_MUTATE_FILES`. */
export function chosenScope({ STREAMBED_MUTATE = 'format', STREAMBED_MUTATE_FILES }) {
  const all = SCOPES[STREAMBED_MUTATE]
  if (all === undefined) throw new Error(`STREAMBED_MUTATE=${STREAMBED_MUTATE}: no such scope`)
  const files = STREAMBED_MUTATE_FILES?.split(',') ?? [...all.keys()]
  const testsOf = new Map(files.map((file) => [file, all.get(file) ?? []]))
  const tests = [...new Set([...testsOf.values()].flat())]
  return { name: STREAMBED_MUTATE, files, testsOf, tests }
}

function testsByFile(layer, names) {
  return new Map(
    Object.entries(names).map(([file, tests]) => [
      `src/${layer}/${file}.ts`,
      tests.map((test) => (test.startsWith('fuzz ') ? test : `test/${layer}/${test}.test.ts`)),
    ]),
  )
}
