/**
 * Kafka as the project `interop` provides it to its tests (toolchain.ts): why it is missing, or a
 * driver of it.
 */
import { inject } from 'vitest'
import { KafkaDriver } from './kafka-driver.ts'

/** Why these tests cannot run; null where they can. */
export const missingKafka: string | null = missingReason()

/** Starts a JVM with Kafka's tools and clients. */
export function startDriver(): KafkaDriver {
  const kafka = inject('kafka')
  if (kafka.kind === 'missing') throw new Error(kafka.reason)
  return new KafkaDriver(kafka)
}

function missingReason(): string | null {
  const kafka = inject('kafka')
  return kafka.kind === 'missing' ? kafka.reason : null
}
