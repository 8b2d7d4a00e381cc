/**
 * Which partition of `__consumer_offsets` keeps the positions of a group: Java's hash of the id.
 *
 * Not the producers' murmur2, and its sign is taken off by abs, not by a mask: a broker that takes
 * the directory over looks in that partition and no other, so nothing here may ever change. Pure.
 */

const INT32_MIN = -0x8000_0000

/** The partition of `partitionCount`, from 1 on, for the group `groupId`. */
export function partitionOfGroup(groupId: string, partitionCount: number): number {
  const hash = javaHash(groupId)
  return hash === INT32_MIN ? 0 : Math.abs(hash) % partitionCount
}

/** An int32, over the UTF-16 units. */
function javaHash(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}
