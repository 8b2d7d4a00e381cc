/**
 * What is mutated together, by the tests that are to notice. A scope is as small as its tests allow:
 * a mutant costs a run of all tests that reach it.
 */

/** By name: which files of src/ are changed, which tests run, and which targets of fuzz/. */
export const SCOPES = {
  format: {
    runner: 'in-process',
    mutate: ['src/format/**/*.ts'],
    tests: ['test/format/*.test.ts', 'test/log/record-lookup.test.ts'],
    targets: [
      ...['varints', 'control-records', 'batch', 'records', 'lz4-block', 'snappy-block', 'gzip'],
      ...['snappy', 'lz4', 'zstd', 'producer-snapshot', 'aborted-transactions', 'index-entries'],
      'names',
    ],
  },
  recovery: {
    runner: 'vitest',
    mutate: [
      'src/log/recovery*.ts',
      'src/log/segment-scan.ts',
      'src/log/batch-walk.ts',
      'src/log/sealed-end.ts',
      'src/log/damage-search.ts',
      'src/log/log-cut.ts',
      'src/log/leader-epochs.ts',
    ],
    tests: ['test/log/**/*.test.ts'],
  },
}

/** The scope that `STREAMBED_MUTATE` names, narrowed by lists in `_FILES`, `_TESTS`, `_TARGETS`. */
export function chosenScope(environment) {
  const {
    STREAMBED_MUTATE = 'format',
    STREAMBED_MUTATE_FILES,
    STREAMBED_MUTATE_TESTS,
  } = environment
  const scope = SCOPES[STREAMBED_MUTATE]
  if (scope === undefined) throw new Error(`STREAMBED_MUTATE=${STREAMBED_MUTATE}: no such scope`)
  return {
    name: STREAMBED_MUTATE,
    runner: environment.STREAMBED_MUTATE_RUNNER ?? scope.runner,
    mutate: STREAMBED_MUTATE_FILES?.split(',') ?? scope.mutate,
    tests: STREAMBED_MUTATE_TESTS?.split(',') ?? scope.tests,
    targets: environment.STREAMBED_MUTATE_TARGETS?.split(',') ?? scope.targets ?? [],
  }
}
