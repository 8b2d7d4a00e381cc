/**
 * Load levelling: the division where members subscribe to different topics, so that no quota fits
 * all. Everybody keeps what they have, the rest goes to who has least, then partitions move along
 * chains from full members to emptier ones until no chain is left: then no other division is more
 * even (an optimal semi-matching: Harvey et al., 2003).
 */
import { assert } from '../../errors/invariant.ts'
import { type AllottedTopic, type Allotment, NOBODY } from './allotment.ts'

/** How a member can be reached: by a partition of `topic`, which `from` owns. */
interface Link {
  readonly from: number
  readonly topic: AllottedTopic
}

/** Divides what `allotment` holds. */
export function levelLoads(allotment: Allotment): void {
  dealOut(allotment)
  while (improve(allotment)) {
    // Each chain makes the sum of the squared loads smaller, so this ends.
  }
}

/** Topics with few takers first: who has a choice is left for the partitions that give one. */
function dealOut(allotment: Allotment): void {
  const scarceFirst = allotment.topics.toSorted(
    (a, b) => a.subscribers.length - b.subscribers.length,
  )
  for (const { first, end, subscribers } of scarceFirst) {
    for (let partition = first; partition < end; partition += 1) {
      if (allotment.ownerOf(partition) !== NOBODY) continue
      allotment.give(partition, leastLoaded(allotment, subscribers))
    }
  }
}

function leastLoaded(allotment: Allotment, members: Iterable<number>): number {
  let least = NOBODY
  for (const member of members) {
    if (least === NOBODY || allotment.loadOf(member) < allotment.loadOf(least)) least = member
  }
  return least
}

/** Moves partitions along one chain, from the fullest member that has one. False: none has. */
function improve(allotment: Allotment): boolean {
  const fullestFirst = [...allotment.members.keys()].toSorted(
    (a, b) => allotment.loadOf(b) - allotment.loadOf(a),
  )
  for (const giver of fullestFirst) {
    const links = reachableFrom(allotment, giver)
    const taker = leastLoaded(allotment, links.keys())
    if (taker === NOBODY || allotment.loadOf(giver) - allotment.loadOf(taker) < 2) continue
    for (let member = taker; member !== giver;) {
      const link = links.get(member)
      assert(link !== undefined, 'a chain leads back to its giver')
      passOn(allotment, link, member)
      member = link.from
    }
    return true
  }
  return false
}

/** Who can get a partition of `giver`'s through others, each by the shortest chain. */
function reachableFrom(allotment: Allotment, giver: number): Map<number, Link> {
  const links = new Map<number, Link>()
  const passed = new Set<AllottedTopic>()
  const queue = [giver]
  for (const from of queue) {
    for (const topic of allotment.topics) {
      if (passed.has(topic) || lastOwned(allotment, topic, from) === NOBODY) continue
      passed.add(topic)
      for (const member of topic.subscribers) {
        if (member === giver || links.has(member)) continue
        links.set(member, { from, topic })
        queue.push(member)
      }
    }
  }
  return links
}

function passOn(allotment: Allotment, { from, topic }: Link, to: number): void {
  const partition = lastOwned(allotment, topic, from)
  allotment.take(partition)
  allotment.give(partition, to)
}

/** The last partition of `topic` that `member` owns: the one that Kafka gives up first, too. */
function lastOwned(allotment: Allotment, { first, end }: AllottedTopic, member: number): number {
  for (let partition = end - 1; partition >= first; partition -= 1) {
    if (allotment.ownerOf(partition) === member) return partition
  }
  return NOBODY
}
