/**
 * What the figures were measured on, said before any of them.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, statfsSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { PEER_PACKAGES, versionOf } from '../contestants/peer-packages.ts'

/** The machine, the versions and the state of the checkout. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly fileSystem: string
  readonly commit: string
  readonly peers: Readonly<Record<string, string>>
  /** Of the minute before: from about 0.5 a core on, something else was running. */
  readonly loadBefore: number
}

const GIB = 1_073_741_824

/** Describes this machine, measuring in `directory`. */
export function describeMachine(directory: string): Machine & { readonly directory: string } {
  const processors = cpus()
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    directory,
    fileSystem: fileSystemOf(directory),
    commit: commitOf(),
    peers: Object.fromEntries(
      PEER_PACKAGES.map((name) => [name, versionOf(name) ?? 'not installed']),
    ),
    loadBefore: loadavg()[0] ?? NaN,
  }
}

/** As lines of text. */
export function machineLines(machine: Machine): readonly string[] {
  const peers = Object.entries(machine.peers).map(([name, version]) => `${name} ${version}`)
  return [
    `machine  ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `disk     ${machine.fileSystem}`,
    `versions node ${machine.node}, streambed ${machine.commit}, ${peers.join(', ')}`,
    `load     ${machine.loadBefore.toFixed(2)} in the minute before`,
  ]
}

/** The type of the mount that holds `directory`, where the system lists its mounts. */
function fileSystemOf(directory: string): string {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
    const holding = mounts
      .map((line) => line.split(' '))
      .filter(([, at = '']) => at === '/' || directory === at || directory.startsWith(`${at}/`))
      .toSorted(([, a = ''], [, b = '']) => b.length - a.length)[0]
    return holding?.[2] ?? 'unknown'
  } catch {
    return `type 0x${statfsSync(directory).type.toString(16)}`
  }
}

function commitOf(): string {
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', [...args], { encoding: 'utf8', stdio: 'pipe' }).trim()
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes'
    return git('rev-parse', '--short', 'HEAD') + changed
  } catch {
    return 'of no checkout'
  }
}
