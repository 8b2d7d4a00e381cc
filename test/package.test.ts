/**
 * The built package as a stranger's program meets it: by import, by require, in few files, and
 * without any work or native code before the first log is opened.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHECKOUT } from './support/source-text.ts'
import { UserProject } from './support/user-project.ts'

/** Prints the address of each module before it is loaded. */
const PRINTING_LOADER = `
  import { writeSync } from 'node:fs'
  export function load(address, context, next) {
    writeSync(1, address + ' ')
    return next(address, context)
  }`

describe('the built package', () => {
  let project: UserProject
  beforeAll(() => {
    project = new UserProject()
  })
  afterAll(() => {
    project.remove()
  })

  /** Runs a file of the project, which must end well; returns what it printed. */
  async function passes(name: string): Promise<string> {
    const { code, output } = await project.run(name)
    expect(code, output).toBe(0)
    return output
  }

  it('is imported by an ES module', async () => {
    project.write('import.js', `import { EventLog } from 'streambed'\nEventLog.inMemory()\n`)
    await passes('import.js')
  })

  it('is required by a CommonJS file', async () => {
    project.write('require.cjs', `const { EventLog } = require('streambed')\nEventLog.inMemory()\n`)
    await passes('require.cjs')
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
    await passes('testing.cjs')
  })

  it('loads no native code before a log is opened, and keeps no process alive', async () => {
    project.write(
      'idle.cjs',
      `require('streambed')
       const native = Object.keys(require.cache).filter((name) => name.endsWith('.node'))
       if (native.length > 0) throw new Error(native.join())
       if (process.getActiveResourcesInfo().length > 2) throw new Error('something runs')`,
    )
    await passes('idle.cjs')
  })

  it('is loaded from a file each for programs and tests, and one that they share', async () => {
    project.write(
      'files.js',
      `import { register } from 'node:module'
       register('data:text/javascript,' + encodeURIComponent(\`${PRINTING_LOADER}\`))
       await import('streambed')
       await import('streambed/testing')`,
    )
    const output = await passes('files.js')
    const dist = pathToFileURL(join(CHECKOUT, 'dist/')).href
    const ours = output.split(' ').filter((address) => address.startsWith(dist))
    const loaded = ours.map((address) => address.slice(dist.length))
    expect(loaded).toEqual(['index.js', 'streambed.js', 'testing/index.js'])
    const built = readdirSync(join(CHECKOUT, 'dist'), { recursive: true, encoding: 'utf8' })
    expect(built.filter((name) => name.endsWith('.js')).toSorted()).toEqual(loaded)
  })

  it('has one of each class, whichever entry it comes from', async () => {
    project.write(
      'classes.js',
      `import { EventLog, LogError, Topic } from 'streambed'
       import { testLog } from 'streambed/testing'
       const { log } = testLog()
       const topic = await log.createTopic('t')
       const error = await log.createTopic('t').catch((thrown) => thrown)
       if (!(log instanceof EventLog)) throw new Error('another EventLog')
       if (!(topic instanceof Topic)) throw new Error('another Topic')
       if (!(error instanceof LogError)) throw new Error('another LogError')`,
    )
    await passes('classes.js')
  })

  it('leads from what it throws to the source that is published with it', async () => {
    project.write(
      'traces.js',
      `import { EventLog } from 'streambed'
       const { stack } = await EventLog.open(5).catch((error) => error)
       const where = /at checkDirectory .*src.client.check-options.ts.*at .*open .*event-log.ts/s
       if (!where.test(stack)) throw new Error(stack)`,
    )
    await passes('traces.js')
  })
})
