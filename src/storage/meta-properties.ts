/**
 * meta.properties: what a Kafka broker asks of a log directory before it takes it over.
 *
 *   version=1
 *   cluster.id=…        base64url, as topic ids
 *   node.id=1           `broker.id` in version 0, as written by brokers with ZooKeeper
 *   directory.id=…      base64url
 *
 * Pure. Keys that we do not know, from a broker's own file, are kept when it is written again.
 */
import { assert } from '../errors/invariant.ts'
import { formatJavaProperties, parseJavaProperties } from './java-properties.ts'

/** The file's name in the log's directory. */
export const META_PROPERTIES_FILE = 'meta.properties'

/** What meta.properties says. */
export interface MetaProperties {
  /** 1; 0 for a file from before KRaft, above 1 for one from a Kafka newer than we know. */
  readonly version: number
  readonly clusterId: string | undefined
  readonly nodeId: number | undefined
  readonly directoryId: string | undefined
  /** All other keys, with their values. */
  readonly others: ReadonlyMap<string, string>
}

/** The bytes of a meta.properties. */
export function formatMetaProperties(meta: MetaProperties): Buffer {
  assert(Number.isInteger(meta.version) && meta.version >= 0, 'version: an integer >= 0')
  const lines: [string, string][] = [['version', String(meta.version)]]
  if (meta.clusterId !== undefined) lines.push(['cluster.id', meta.clusterId])
  if (meta.nodeId !== undefined) lines.push([nodeIdKey(meta.version), String(meta.nodeId)])
  if (meta.directoryId !== undefined) lines.push(['directory.id', meta.directoryId])
  return Buffer.from(formatJavaProperties([...lines, ...meta.others]), 'latin1')
}

/** What the bytes say; undefined when they are damaged or lack what their version requires. */
export function parseMetaProperties(bytes: Buffer): MetaProperties | undefined {
  const properties = parseJavaProperties(bytes.toString())
  if (properties === undefined) return undefined
  const version = parseInteger(take(properties, 'version'))
  if (version === undefined || version < 0) return undefined
  const nodeIdText = take(properties, nodeIdKey(version))
  const nodeId = parseInteger(nodeIdText)
  const clusterId = take(properties, 'cluster.id')
  const directoryId = take(properties, 'directory.id')
  if (nodeIdText !== undefined && nodeId === undefined) return undefined
  if (version === 1 && (nodeId === undefined || clusterId === undefined)) return undefined
  return { version, clusterId, nodeId, directoryId, others: properties }
}

function nodeIdKey(version: number): string {
  return version === 0 ? 'broker.id' : 'node.id'
}

function take(properties: Map<string, string>, key: string): string | undefined {
  const value = properties.get(key)
  properties.delete(key)
  return value
}

function parseInteger(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?[0-9]{1,10}$/.test(text)) return undefined
  const value = Number(text)
  return value === (value | 0) ? value : undefined
}
