import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own clients against a broker. Bytes travel as hex digits, null as null. */
final class BrokerClients {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long TIMEOUT_MS = 60_000;

  private BrokerClients() {}

  static JsonNode awaitBroker(JsonNode request) throws Exception {
    try (Admin admin = Admin.create(settings(request))) {
      admin.describeCluster().nodes().get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }
    return NullNode.getInstance();
  }

  static JsonNode createTopics(JsonNode request) throws Exception {
    List<NewTopic> topics = new ArrayList<>();
    for (JsonNode topic : request.get("topics")) {
      NewTopic created =
          new NewTopic(topic.get("name").textValue(), topic.get("partitions").intValue(), (short) 1);
      topics.add(created.configs(textsOf(topic.get("config"))));
    }
    try (Admin admin = Admin.create(settings(request))) {
      admin.createTopics(topics).all().get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }
    return NullNode.getInstance();
  }

  static JsonNode addPartitions(JsonNode request) throws Exception {
    try (Admin admin = Admin.create(settings(request))) {
      NewPartitions total = NewPartitions.increaseTo(request.get("total").intValue());
      admin.createPartitions(Map.of(request.get("topic").textValue(), total)).all().get();
    }
    return NullNode.getInstance();
  }

  static JsonNode deleteTopic(JsonNode request) throws Exception {
    try (Admin admin = Admin.create(settings(request))) {
      List<String> names = List.of(request.get("topic").textValue());
      admin.deleteTopics(names).all().get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }
    return NullNode.getInstance();
  }

  /** Sends in order; every `flushEvery` records what was gathered goes out as batches. */
  static JsonNode produce(JsonNode request) throws Exception {
    String transaction = request.get("transaction").textValue();
    int flushEvery = request.get("flushEvery").intValue();
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings(request), new ByteArraySerializer(), new ByteArraySerializer());
    ArrayNode offsets = JSON.createArrayNode();
    try {
      if (transaction != null) {
        producer.initTransactions();
        producer.beginTransaction();
      }
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (JsonNode record : request.get("records")) {
        sent.add(producer.send(recordOf(record)));
        if (sent.size() % flushEvery == 0) producer.flush();
      }
      producer.flush();
      for (Future<RecordMetadata> one : sent) offsets.add(one.get().offset());
      if ("commit".equals(transaction)) producer.commitTransaction();
      if ("abort".equals(transaction)) producer.abortTransaction();
      if (transaction != null && !"open".equals(transaction)) awaitEndOfTransaction(settings(request));
    } finally {
      // At once: an orderly close would abort a transaction that is to stay open.
      producer.close("open".equals(transaction) ? Duration.ZERO : Duration.ofMillis(TIMEOUT_MS));
    }
    return offsets;
  }

  /** Every record of a topic, control records left out, partition by partition. */
  static JsonNode consume(JsonNode request) {
    String topic = request.get("topic").textValue();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            settings(request), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .sorted((one, other) -> Integer.compare(one.partition(), other.partition()))
              .toList();
      consumer.assign(partitions);
      if (!request.path("resume").booleanValue()) consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      Map<TopicPartition, ArrayNode> read = new HashMap<>();
      for (TopicPartition partition : partitions) read.put(partition, JSON.createArrayNode());
      long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(TIMEOUT_MS);
      while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
        if (System.nanoTime() > deadline) throw new IllegalStateException("the end never came: " + ends);
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          read.get(new TopicPartition(topic, record.partition())).add(nodeOf(record));
        }
      }
      // Positions as a program commits them: with the epoch of the record that was read last.
      if (request.path("commit").booleanValue()) consumer.commitSync();
      ArrayNode result = JSON.createArrayNode();
      for (TopicPartition partition : partitions) {
        ObjectNode one = result.addObject();
        one.put("endOffset", ends.get(partition));
        one.set("records", read.get(partition));
      }
      return result;
    }
  }

  /** A producer hears of the decision; the markers are written after that. */
  static void awaitEndOfTransaction(Map<String, Object> settings) throws Exception {
    String id = (String) settings.get("transactional.id");
    settings.keySet().retainAll(List.of("bootstrap.servers"));
    try (Admin admin = Admin.create(settings)) {
      TransactionState state;
      do {
        state = admin.describeTransactions(List.of(id)).description(id).get().state();
      } while (state != TransactionState.COMPLETE_COMMIT && state != TransactionState.COMPLETE_ABORT);
    }
  }

  static ProducerRecord<byte[], byte[]> recordOf(JsonNode record) {
    List<Header> headers = new ArrayList<>();
    for (JsonNode header : record.get("headers")) {
      headers.add(new RecordHeader(header.get(0).textValue(), bytesOf(header.get(1))));
    }
    return new ProducerRecord<>(
        record.get("topic").textValue(),
        record.get("partition").intValue(),
        record.get("timestamp").longValue(),
        bytesOf(record.get("key")),
        bytesOf(record.get("value")),
        headers);
  }

  private static ObjectNode nodeOf(ConsumerRecord<byte[], byte[]> record) {
    ObjectNode node = JSON.createObjectNode();
    node.put("offset", record.offset());
    node.put("timestamp", record.timestamp());
    node.put("key", hexOf(record.key()));
    node.put("value", hexOf(record.value()));
    ArrayNode headers = node.putArray("headers");
    for (Header header : record.headers()) {
      headers.addArray().add(header.key()).add(hexOf(header.value()));
    }
    return node;
  }

  private static Map<String, Object> settings(JsonNode request) {
    return new HashMap<>(textsOf(request.get("settings")));
  }

  static Map<String, String> textsOf(JsonNode node) {
    Map<String, String> texts = new HashMap<>();
    node.properties().forEach(field -> texts.put(field.getKey(), field.getValue().asText()));
    return texts;
  }

  private static byte[] bytesOf(JsonNode hex) {
    return hex.isNull() ? null : HexFormat.of().parseHex(hex.textValue());
  }

  private static String hexOf(byte[] bytes) {
    return bytes == null ? null : HexFormat.of().formatHex(bytes);
  }
}
