/**
 * Set up before each test file of the projects that run the tests of logs once more, reading in
 * another way than by default. STREAMBED_TEST_READS says how:
 *   mmap      logs whose options name no `io` read all that is sealed through mappings
 *   no-koffi  as on a machine without koffi: no mappings, no preallocated blocks, portable locks
 */
import { vi } from 'vitest'
import type { checkLogOptions } from '../../src/client/log-options.ts'

const reads = process.env['STREAMBED_TEST_READS']

vi.mock('../../src/client/log-options.ts', async (importOriginal) => {
  const original = await importOriginal<{ readonly checkLogOptions: typeof checkLogOptions }>()
  const check: typeof checkLogOptions = (options, kind, where) => {
    const checked = original.checkLogOptions(options, kind, where)
    return reads === 'mmap' && checked.io === 'auto' ? { ...checked, io: 'mmap' } : checked
  }
  return { ...original, checkLogOptions: check }
})

vi.mock('../../src/storage/native-binding.ts', async (importOriginal) => {
  const original = await importOriginal<object>()
  return reads === 'no-koffi' ? { nativeBinding: () => null } : original
})
