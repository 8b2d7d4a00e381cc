/** The manifest of a backup as text: there and back, and whatever is not what was written. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/format/crc32c.ts'
import {
  type BackupManifest,
  formatBackupManifest,
  parseBackupManifest,
} from '../../src/log/backup-manifest.ts'
import { completeProcedure } from '../../src/storage/procedure.ts'

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const name = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}$/)
const path = fc.oneof(
  name,
  fc.tuple(name, name).map(([folder, file]) => `${folder}/${file}`),
)
const manifests = fc.record({
  generation: count,
  logId: fc.stringMatching(/^[a-zA-Z0-9_-]{22}$/),
  directoryId: fc.stringMatching(/^[a-zA-Z0-9_-]{22}$/),
  createdMs: count,
  partitions: fc.array(
    fc.record({ topic: name, partition: count, logStartOffset: count, logEndOffset: count }),
    { maxLength: 3 },
  ),
  files: fc
    .array(fc.tuple(path, fc.record({ sizeBytes: count, crc: fc.nat({ max: 0xffff_ffff }) })), {
      maxLength: 5,
    })
    .map((files) => new Map(files)),
  removed: fc.array(path, { maxLength: 3 }),
})

function format(manifest: BackupManifest): Buffer {
  return completeProcedure(formatBackupManifest(manifest))
}

function parse(bytes: Buffer): BackupManifest | undefined {
  return completeProcedure(parseBackupManifest(bytes))
}

/** The text with the last line that its checksum asks for. */
function sealed(text: string): Buffer {
  const bytes = Buffer.from(text)
  const crc = crc32c(bytes, 0, bytes.length).toString(16).padStart(8, '0')
  return Buffer.from(`${text}crc32c ${crc}\n`)
}

const HEAD = 'streambed backup 1\ngeneration 1\nlog a\ndirectory b\ncreated 5\n'

describe('a manifest', () => {
  it('says what was written', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(parse(format(manifest))).toEqual(manifest)
      }),
    )
  })

  it('that was cut or changed anywhere says nothing', () => {
    fc.assert(
      fc.property(manifests, fc.nat(), fc.integer({ min: 1, max: 255 }), (manifest, at, bits) => {
        const bytes = format(manifest)
        const place = at % bytes.length
        expect(parse(bytes.subarray(0, place))).toBeUndefined()
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8(flipped.readUInt8(place) ^ bits, place)
        expect(parse(flipped)).toBeUndefined()
      }),
    )
  })

  it('is read from any bytes without an error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => HEAD + text),
        ),
        (text) => {
          expect(() => parse(Buffer.from(text))).not.toThrow()
          expect(() => parse(sealed(text))).not.toThrow()
        },
      ),
    )
  })

  it.each([
    'file 00000000 1 ../secret\n',
    'file 00000000 1 orders-0/../../secret\n',
    'file 00000000 1 /etc/passwd\n',
    'file 00000000 1 a/b/c\n',
    'file 00000000 1 a\\b\n',
    'file 00000000 -1 a\n',
    'file 0 1 a\n',
    'file 00000000 1 a\nfile 00000000 1 a\n',
    'file 00000000 1 a b\n',
    'removed ..\n',
    'removed\n',
    'partition orders 0 1\n',
    'partition orders x 1 2\n',
    'generation 2\n',
  ])('with a line that no backup has is none, though its checksum is right: %j', (line) => {
    expect(parse(sealed(HEAD))).toBeDefined()
    expect(parse(sealed(HEAD + line))).toBeUndefined()
  })

  it.each(['generation 1\n', 'log a\n', 'directory b\n', 'created 5\n', 'streambed backup 1\n'])(
    'without its line %j is none',
    (line) => {
      expect(parse(sealed(HEAD.replace(line, '')))).toBeUndefined()
    },
  )
})
