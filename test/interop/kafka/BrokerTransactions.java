import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Several of Kafka's producers at once, step by step as the request has it, so that their
 * transactions lie between one another. Those without a transactional.id just send.
 */
final class BrokerTransactions {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private BrokerTransactions() {}

  /** The offsets of all records, in the order of the steps. */
  static JsonNode transact(JsonNode request) throws Exception {
    Map<String, KafkaProducer<byte[], byte[]>> producers = new LinkedHashMap<>();
    ArrayNode offsets = JSON.createArrayNode();
    try {
      for (JsonNode step : request.get("steps")) {
        String name = step.get("producer").textValue();
        KafkaProducer<byte[], byte[]> producer = producers.get(name);
        if (producer == null) {
          producer = open(request, name);
          producers.put(name, producer);
        }
        perform(request, step, producer, offsets);
      }
    } finally {
      // At once: an orderly close would abort a transaction that is to stay open.
      for (KafkaProducer<byte[], byte[]> producer : producers.values()) producer.close(Duration.ZERO);
    }
    return offsets;
  }

  private static void perform(
      JsonNode request, JsonNode step, KafkaProducer<byte[], byte[]> producer, ArrayNode offsets)
      throws Exception {
    switch (step.get("action").textValue()) {
      case "begin" -> producer.beginTransaction();
      case "send" -> {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode record : step.get("records")) sent.add(producer.send(BrokerClients.recordOf(record)));
        producer.flush();
        for (Future<RecordMetadata> one : sent) offsets.add(one.get().offset());
      }
      case "offsets" -> {
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        for (JsonNode one : step.get("offsets")) {
          positions.put(
              new TopicPartition(one.get("topic").textValue(), one.get("partition").intValue()),
              new OffsetAndMetadata(one.get("offset").longValue()));
        }
        String group = step.get("group").textValue();
        producer.sendOffsetsToTransaction(positions, new ConsumerGroupMetadata(group));
      }
      case "commit" -> {
        producer.commitTransaction();
        BrokerClients.awaitEndOfTransaction(settings(request, step.get("producer").textValue()));
      }
      case "abort" -> {
        producer.abortTransaction();
        BrokerClients.awaitEndOfTransaction(settings(request, step.get("producer").textValue()));
      }
      default -> throw new IllegalArgumentException("no such step: " + step);
    }
  }

  private static KafkaProducer<byte[], byte[]> open(JsonNode request, String name) {
    Map<String, Object> settings = settings(request, name);
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    if (settings.containsKey("transactional.id")) producer.initTransactions();
    return producer;
  }

  private static Map<String, Object> settings(JsonNode request, String producer) {
    Map<String, Object> settings = new HashMap<>(BrokerClients.textsOf(request.get("settings")));
    settings.putAll(BrokerClients.textsOf(request.get("producers").get(producer)));
    return settings;
  }
}
