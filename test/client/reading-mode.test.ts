/**
 * How the projects that run these tests once more read: as their name says, in every file of a
 * process that runs several.
 */
import { expect, it } from 'vitest'
import { checkLogOptions } from '../../src/client/log-options.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'

const reads = process.env['STREAMBED_TEST_READS']

it('is what the project is named after', () => {
  const { io } = checkLogOptions({}, 'disk', 'the test')
  expect(io).toBe(reads === 'mmap' ? 'mmap' : 'auto')
  if (reads === 'no-koffi') expect(nativeBinding()).toBeNull()
})
