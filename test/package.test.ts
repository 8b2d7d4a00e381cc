/**
 * The built package as a stranger's program meets it: by import, by require, and without any work
 * or native code before the first log is opened.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { UserProject } from './support/user-project.ts'

describe('the built package', () => {
  let project: UserProject
  beforeAll(() => {
    project = new UserProject()
  })
  afterAll(() => {
    project.remove()
  })

  it('is imported by an ES module', async () => {
    project.write('import.js', `import { EventLog } from 'streambed'\nEventLog.inMemory()\n`)
    const { code, output } = await project.run('import.js')
    expect(code, output).toBe(0)
  })

  it('is required by a CommonJS file', async () => {
    project.write('require.cjs', `const { EventLog } = require('streambed')\nEventLog.inMemory()\n`)
    const { code, output } = await project.run('require.cjs')
    expect(code, output).toBe(0)
  })

  it('has an entry for tests, which ends by itself', async () => {
    project.write(
      'testing.cjs',
      `const { testLog, recordsOf } = require('streambed/testing')
       const { log } = testLog()
       log.createTopic('t').then(async (topic) => {
         await topic.send({ value: 'x' })
         if (recordsOf(topic)[0].value !== 'x') throw new Error('not there')
       })`,
    )
    const { code, output } = await project.run('testing.cjs')
    expect(code, output).toBe(0)
  })

  it('loads no native code before a log is opened, and keeps no process alive', async () => {
    project.write(
      'idle.cjs',
      `require('streambed')
       const native = Object.keys(require.cache).filter((name) => name.endsWith('.node'))
       if (native.length > 0) throw new Error(native.join())
       if (process.getActiveResourcesInfo().length > 2) throw new Error('something runs')`,
    )
    const { code, output } = await project.run('idle.cjs')
    expect(code, output).toBe(0)
  })
})
