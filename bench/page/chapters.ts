/**
 * Chapters: in which order the page goes through the questions, and what is to be known of those
 * that belong together. A question that is in none comes last.
 */

/** Questions that belong together. */
export interface Chapter {
  readonly title: string
  readonly about: string
  readonly questions: readonly string[]
}

const CHAPTERS: readonly Chapter[] = [
  {
    title: 'Writing',
    about:
      'What is written is in the page cache when a call returns, safe from a crash of the\n' +
      'process: no one syncs here, neither we nor a peer.',
    questions: [
      'append-throughput',
      'enqueue-throughput',
      'record-sizes-append',
      'json-events',
      'garbage',
    ],
  },
  {
    title: 'Writing durably',
    about:
      'With acks `all` every contestant has synced before it says that a record is safe; with\n' +
      'acks 1 none has. The two never share a table.',
    questions: ['send-throughput', 'transactions', 'peer-durability'],
  },
  {
    title: 'Reading',
    about: 'From the page cache: files that were written before, read again and again.',
    questions: ['scan-throughput', 'random-get', 'record-sizes-scan', 'table-load'],
  },
  {
    title: 'Following live',
    about: 'From an append to a reader that waits for it.',
    questions: ['follow-latency', 'readers-wake', 'readers-through', 'readers-writer'],
  },
  {
    title: 'Consumer groups',
    about: 'Members share partitions and commit how far they are.',
    questions: ['groups-throughput', 'groups-times'],
  },
  {
    title: 'Opening and starting',
    about: 'What a process waits for before it can work.',
    questions: ['open-time', 'scaling-log-size', 'start-up'],
  },
  {
    title: 'Growing',
    about:
      'The same work on more and more of something. A level line costs nothing, a straight one\n' +
      'that rises by ten with ten times as many costs the same for each.',
    questions: ['scaling-partitions', 'scaling-topics', 'scaling-segments', 'scaling-readers'],
  },
  {
    title: 'Housekeeping',
    about: 'What is done in the background.',
    questions: ['compaction', 'retention-time'],
  },
  {
    title: 'Beside Apache Kafka',
    about: 'A broker in KRaft mode on the same machine, reached over loopback.',
    questions: ['kafka-loopback'],
  },
]

/** The files of questions that are not named after them. */
const SOURCES: Readonly<Record<string, string>> = {
  'groups-throughput': 'group-throughput',
  'groups-times': 'group-times',
  'readers-wake': 'readers',
  'readers-through': 'readers',
  'record-sizes-append': 'record-sizes',
  'record-sizes-scan': 'record-sizes',
}

/** The file below bench that asks a question, and says at its top what favours whom. */
export function sourceOf(question: string): string {
  return `${SOURCES[question] ?? question}.ts`
}

/** The chapters that there is something in, of the questions with these names. */
export function chaptersOf(names: readonly string[]): readonly Chapter[] {
  const listed = new Set(CHAPTERS.flatMap(({ questions }) => questions))
  const rest = names.filter((name) => !listed.has(name)).toSorted()
  const more = { title: 'More', about: 'What else was asked.', questions: rest }
  return [...CHAPTERS, more]
    .map((chapter) => ({
      ...chapter,
      questions: chapter.questions.filter((name) => names.includes(name)),
    }))
    .filter(({ questions }) => questions.length > 0)
}
