/**
 * What is wrong with the small files of a log's own directory: which have to be there, and what
 * each may hold, in a directory of ours and in one that a broker had.
 */
import { describe, expect, it } from 'vitest'
import { auditDirectory } from '../../src/log/directory-audit.ts'
import { DirectoryEvidence } from '../../src/log/directory-evidence.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'
import { overwrite } from './tampering.ts'

const RECOVERY_POINTS = 'recovery-point-offset-checkpoint'
const LOG_STARTS = 'log-start-offset-checkpoint'
const MARKER = '.kafka_cleanshutdown'

/** A closed log of one topic that starts at 2. */
async function closedLog(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', {}))
  appendMany(partitionOf(log, 't'), 5)
  await runProcedure(log.deleteRecordsBefore(partitionOf(log, 't'), 2))
  await runProcedure(log.close())
  return driver.processKill()
}

/** File and reason of each finding. */
function found(driver: FaultDriver): readonly (readonly string[])[] {
  const evidence = new DirectoryEvidence(driver, 'boot')
  return auditDirectory(driver, evidence).map(({ file, reason }) => [file, reason])
}

describe('the small files of a directory', () => {
  it('are as they have to be after a clean close', async () => {
    expect(found(await closedLog())).toEqual([])
  })

  it('are none, and none is missed, where there is no log', () => {
    expect(found(new FaultDriver())).toEqual([])
  })

  it.each(['metadata.json', 'meta.properties', RECOVERY_POINTS, LOG_STARTS])(
    'have %s among them, which is missed, and damaged where it cannot be read',
    async (name) => {
      const driver = await closedLog()
      overwrite(driver, name, Buffer.from('?'))
      expect(found(driver)).toContainEqual([name, 'it cannot be read'])
      await driver.unlink(name)
      expect(found(driver)).toContainEqual([name, 'missing'])
    },
  )

  it.each(['metadata.json.previous', 'cleaner-offset-checkpoint', MARKER])(
    'may be without %s, which is damaged where it cannot be read',
    async (name) => {
      const driver = await closedLog()
      overwrite(driver, name, Buffer.from('?'))
      expect(found(driver)).toEqual([[name, 'it cannot be read']])
      await driver.unlink(name)
      expect(found(driver)).toEqual([])
    },
  )

  it('say of each partition where it starts, as the clean marker does', async () => {
    const driver = await closedLog()
    overwrite(driver, LOG_STARTS, Buffer.from('0\n1\nt 0 3\n'))
    expect(found(driver)).toEqual([[LOG_STARTS, 't-0 starts elsewhere by the clean marker']])
    overwrite(driver, LOG_STARTS, Buffer.from('0\n0\n'))
    expect(found(driver)).toEqual([[LOG_STARTS, 't-0 starts elsewhere by the clean marker']])
    // Nobody knows better without the marker.
    await driver.unlink(MARKER)
    expect(found(driver)).toEqual([])
  })

  it('have nothing but a file where watermarks are published', async () => {
    const driver = await closedLog()
    await driver.unlink('streambed.control')
    expect(found(driver)).toEqual([])
    driver.createDirectory('streambed.control')
    expect(found(driver)).toEqual([['streambed.control', 'it is not a file']])
  })
})

describe('the small files that a broker wrote', () => {
  it('may be empty: it makes its checkpoints before there is something to say', async () => {
    const driver = await closedLog()
    await driver.unlink(MARKER)
    overwrite(driver, RECOVERY_POINTS, Buffer.alloc(0))
    expect(found(driver)).toEqual([[RECOVERY_POINTS, 'it cannot be read']])
    overwrite(driver, 'replication-offset-checkpoint', Buffer.alloc(0))
    expect(found(driver)).toEqual([])
  })

  it.each([
    ['nothing, as an older one', '', true],
    ['an object of its own', '{"version":0,"brokerEpoch":7}', true],
    ['an object of ours that is damaged', '{"version":0,"streambed":{}}', false],
    ['an object without a version', '{"brokerEpoch":7}', false],
    ['no object', '[]', false],
  ])('may be a clean marker, or not: %s', async (_, text, isSound) => {
    const driver = await closedLog()
    overwrite(driver, MARKER, Buffer.from(text))
    expect(found(driver)).toEqual(isSound ? [] : [[MARKER, 'it cannot be read']])
  })
})
