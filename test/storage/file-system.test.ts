/**
 * What a log says of the file system it lies on: of real ones, mounted for the test where that can
 * be done, and of others by what the system would say of them.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { fileSystemOf } from '../../src/storage/file-system.ts'
import { canMount, ownDisk, type DiskKind } from '../support/own-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What the system says; undefined: what it says of itself. */
const said = vi.hoisted(() => ({
  type: undefined as number | undefined, // `as`: set by single tests
  mountinfo: undefined as string | undefined, // the same
}))
vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof fs>()
  return {
    ...original,
    statfsSync: (path: string) =>
      said.type === undefined ? original.statfsSync(path) : { type: said.type },
    readFileSync: (path: string, encoding: BufferEncoding) =>
      path === '/proc/self/mountinfo' && said.mountinfo !== undefined
        ? said.mountinfo
        : original.readFileSync(path, encoding),
  }
})
beforeEach(() => {
  said.type = undefined
  said.mountinfo = undefined
})

const DISK_BYTES = 33_554_432
const FUSE = 0x65735546

describe.each([
  ['tmpfs', 'process-crash'],
  ['ext4', 'power-loss'],
  ['overlay', 'power-loss'],
] as const)('a log on %s', (kind, survives) => {
  it.runIf(canMount(kind))(`says so, and that acks 'all' survive a ${survives}`, async () => {
    const { acks, fileSystem, syncMethod } = await guaranteesOn(kind)
    expect({ acks, fileSystem, syncMethod }).toEqual({
      acks: { 0: 'nothing', 1: 'process-crash', all: survives },
      fileSystem: kind,
      syncMethod: 'fdatasync',
    })
  })
})

describe('a log on an overlay', () => {
  const isPossible = canMount('overlay')

  it.runIf(isPossible)('whose syncs do nothing promises nothing for a power loss', async () => {
    const { acks } = await guaranteesOn('overlay', ['volatile'])
    expect(acks.all).toBe('process-crash')
  })

  it.runIf(isPossible && canMount('tmpfs'))(
    'that is written to memory promises no more than memory',
    () => {
      const memory = ownDisk('tmpfs', DISK_BYTES)
      const disk = ownDisk('overlay', DISK_BYTES, { layersIn: memory })
      expect(fileSystemOf(disk)).toEqual({ name: 'overlay', isNetwork: false, isVolatile: true })
    },
  )
})

describe.runIf(process.platform === 'linux')('what the system says', () => {
  const own = fs.statSync(temporaryBase(), { bigint: true }).dev
  const device = `${(own >> 8n) & 0xfffn}:${own & 0xffn}`
  const line = (type: string, options: string): string =>
    `1 0 8:1 / / rw - xfs /dev/sda1 rw\n36 1 ${device} / /data rw,noatime shared:1 - ${type} source ${options}\n`

  it.each([
    [0x6969, 'nfs'],
    [0xff534d42, 'cifs'],
    [0xfe534d42, 'smb2'],
    [0x01021997, '9p'],
    [0x00c36400, 'ceph'],
  ])('of a network file system (%d) is taken for one: %s', (type, name) => {
    said.type = type
    said.mountinfo = ''
    expect(fileSystemOf(temporaryDirectory())).toEqual({ name, isNetwork: true, isVolatile: false })
  })

  it.each([
    ['fuse.sshfs', true],
    ['fuse.rclone', true],
    ['virtiofs', true],
    ['fuseblk', false],
    ['fuse.gocryptfs', false],
  ])('is asked for more behind FUSE: %s', (type, isNetwork) => {
    said.type = FUSE
    said.mountinfo = line(type, 'rw')
    expect(fileSystemOf(temporaryDirectory())).toEqual({ name: type, isNetwork, isVolatile: false })
  })

  it.each(['rw,nobarrier', 'rw,barrier=0,data=ordered'])(
    'of a mount that empties no cache, %s, is no promise for a power loss',
    (options) => {
      said.type = 0xef53
      said.mountinfo = line('ext4', options)
      expect(fileSystemOf(temporaryDirectory()).isVolatile).toBe(true)
    },
  )

  it.each(['', 'garbage', '1 2 3', `36 1 ${device}`])(
    'is enough where mounts are not shown: %j',
    (text) => {
      said.type = 0xef53
      said.mountinfo = text
      expect(fileSystemOf(temporaryDirectory())).toEqual({
        name: 'ext4',
        isNetwork: false,
        isVolatile: false,
      })
    },
  )

  it('of a file system that nobody knows is its number', () => {
    said.type = -2
    expect(fileSystemOf(temporaryDirectory()).name).toBe('0xfffffffe')
  })
})

describe('a network file system', () => {
  it('is refused, unless the options take it as it is', async () => {
    said.type = 0x6969
    said.mountinfo = ''
    const directory = join(temporaryDirectory(), 'log')
    await expect(EventLog.open(directory)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { option: 'allowNetworkFs', fileSystem: 'nfs' },
    })
    const log = await EventLog.open(directory, { allowNetworkFs: true })
    expect(log.guarantees()).toMatchObject({ fileSystem: 'nfs', reads: 'pread' })
    await log.close()
  })
})

async function guaranteesOn(
  kind: DiskKind,
  options: readonly string[] = [],
): Promise<ReturnType<EventLog['guarantees']>> {
  const log = await EventLog.open(join(ownDisk(kind, DISK_BYTES, { options }), 'log'))
  const guarantees = log.guarantees()
  await log.close()
  return guarantees
}

function temporaryBase(): string {
  return process.env['TMPDIR'] ?? '/tmp'
}
