/**
 * GroupCoordinator: the consumer groups of one open log: which have members, who calls handlers,
 * and how all of that ends when the log closes.
 *
 *   I1  a group id is one group, however many handles name it
 *   I2  what changes of topics, the groups know before whoever changed it goes on
 *   I3  closing hands out nothing more, lets handlers finish, commits what is handled, and takes no
 *       longer than it was given
 */
import { invalidArgument, LogError } from '../../errors/log-error.ts'
import type { CommittedOffsets } from '../../log/committed-offsets.ts'
import type { GroupDescription } from '../group-types.ts'
import { describeValue } from '../check-options.ts'
import { GroupAdministration, type GroupActivity } from './group-admin.ts'
import type { GroupHost } from './group-host.ts'
import type { GroupMember } from './group-member.ts'
import { checkGroupOptions } from './group-options.ts'
import { LiveGroup, type GroupSettings, type MemberUse } from './live-group.ts'
import type { HandlerRun, RunWaiting } from './run-host.ts'
import { Subscription } from './subscription.ts'

const MEMBER_DIGITS = 6

/** What groups wait for, and the groups that wait for a partition to move. */
export interface GroupsWaiting extends RunWaiting {
  readonly forRebalance: readonly string[]
}

/** The groups of one open log. */
export class GroupCoordinator {
  readonly host: GroupHost
  /** The process that a test gave this log is dead: nobody is there to hear of failures. */
  isGone: () => boolean = () => false
  readonly #groups = new Map<string, LiveGroup>()
  readonly #runs = new Set<HandlerRun>()
  #memberCount = 0
  #isClosing = false

  constructor(host: GroupHost) {
    this.host = host
  }

  /** Members to be let go, or handlers to be waited for. */
  get isBusy(): boolean {
    return this.#groups.size > 0 || this.#runs.size > 0
  }

  /**
   * What a handle with options is made with.
   * @throws {LogError} INVALID_ARGUMENT; CONFIG_MISMATCH where the group has members with others.
   */
  settings(id: unknown, options: unknown): GroupSettings {
    const groupId = checkGroupId(id)
    const where = `log.consumerGroup('${groupId}')`
    this.checkOpen(where)
    const checked = checkGroupOptions(options, where)
    // `as`: an object, by checkGroupOptions.
    const { topics } = options as { readonly topics?: unknown }
    const subscription = new Subscription(this.host, topics, where)
    const settings = { id: groupId, options: checked, subscription }
    this.#groups.get(groupId)?.checkAgrees(settings)
    return settings
  }

  /** The administration of a group, for a handle that was made with `settings`, or without. */
  administration(id: unknown, settings: GroupSettings | null): GroupAdministration {
    const groupId = checkGroupId(id)
    const current = (): GroupSettings | undefined => settings ?? this.#groups.get(groupId)?.settings
    return new GroupAdministration(this.host, {
      id: groupId,
      topics: () => existing(this.host, current()),
      get autoOffsetReset() {
        return current()?.options.autoOffsetReset ?? 'earliest'
      },
      activity: () => this.activity(groupId),
      holderOf: (name) => this.#groups.get(groupId)?.holderOf(name),
    })
  }

  /** Undefined where the group has no members. */
  activity(id: string): GroupActivity | undefined {
    return this.#groups.get(id)?.activity
  }

  /** Every group that has members or positions, by id. */
  describe(): readonly GroupDescription[] {
    this.checkOpen('log.consumerGroups')
    const ids = new Set([...this.#groups.keys(), ...this.host.offsets.groups()])
    return [...ids].sort().map((id) => this.administration(id, null).describe())
  }

  /**
   * A member that has not joined yet, once offsets can be committed.
   * @throws {LogError} TOPIC_NOT_FOUND, CONFIG_MISMATCH, CLOSED; READ_ONLY where another process
   *   writes the log; what making a topic throws.
   */
  async newMember(
    settings: GroupSettings,
    instanceId: string | undefined,
    use: MemberUse,
  ): Promise<GroupMember> {
    const where = `log.consumerGroup('${settings.id}').join`
    this.checkOpen(where)
    const offsets = this.host.writableOffsets(where)
    settings.subscription.check(where)
    await this.host.prepareOffsets()
    this.checkOpen(where)
    settings.subscription.check(where)
    this.#memberCount += 1
    const memberId = `${settings.id}-${String(this.#memberCount).padStart(MEMBER_DIGITS, '0')}`
    return this.#group(settings, offsets).member(settings, { memberId, instanceId }, use)
  }

  /** Until the function returned is called, closing the log finishes `run` first. */
  register(run: HandlerRun): () => void {
    this.#runs.add(run)
    return () => void this.#runs.delete(run)
  }

  /** What keeps groups from going on by themselves. */
  waiting(): GroupsWaiting {
    const held = [...this.#runs].map((run) => run.waiting())
    const moving = [...this.#groups].filter(
      ([, { activity }]) => activity.state === 'PreparingRebalance',
    )
    return {
      forHandlers: held.flatMap(({ forHandlers }) => forHandlers),
      forBackoff: held.flatMap(({ forBackoff }) => forBackoff),
      forRebalance: moving.map(([id]) => id),
    }
  }

  /** Topics came, went or grew (I2). */
  topicsChanged(): void {
    for (const group of [...this.#groups.values()]) group.topicsChanged()
  }

  /** Lets everything end, for `timeoutMs` at most (I3). Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosing = true
    if (!this.isBusy) return
    const { clock } = this.host
    let timer: unknown
    const timeIsUp = new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, timeoutMs)
    })
    await Promise.race([this.#end(timeoutMs), timeIsUp])
    clock.clearTimeout(timer)
  }

  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void {
    this.host.checkOpen(call)
    if (!this.#isClosing) return
    throw new LogError('CLOSED', `${call}: the log is being closed`, { call })
  }

  async #end(timeoutMs: number): Promise<void> {
    const finishing = [...this.#runs].map((run) => run.finish(timeoutMs))
    await Promise.all([...finishing, ...this.#membersOf('consumer').map(letGo)])
    await Promise.all(this.#membersOf('run').map(letGo))
  }

  #membersOf(use: MemberUse): readonly GroupMember[] {
    return [...this.#groups.values()].flatMap((group) => group.members(use))
  }

  #group(settings: GroupSettings, offsets: CommittedOffsets): LiveGroup {
    const { id } = settings
    const known = this.#groups.get(id)
    if (known !== undefined) return known
    const group = new LiveGroup(this.host, offsets, settings, () => {
      if (this.#groups.get(id) === group) this.#groups.delete(id)
      offsets.becameEmpty(id)
    })
    this.#groups.set(id, group)
    return group
  }
}

/** What its user has in hand may not be handled: it comes again. */
async function letGo(member: GroupMember): Promise<void> {
  if (!member.hasLeft) member.handOver.abandon()
  await member.leaveQuietly()
}

function existing(host: GroupHost, settings: GroupSettings | undefined): readonly string[] {
  const names = settings?.subscription.topics() ?? []
  return names.filter((name) => host.findTopic(name) !== undefined)
}

/** @throws {LogError} INVALID_ARGUMENT. */
function checkGroupId(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id
  throw invalidArgument(
    `log.consumerGroup: the id of a group is a string that is not empty, not ${describeValue(id)}`,
    { id },
  )
}
