import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.metadata.ConfigRecord;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.metadata.bootstrap.BootstrapDirectory;
import org.apache.kafka.metadata.bootstrap.BootstrapMetadata;
import org.apache.kafka.server.common.ApiMessageAndVersion;
import org.apache.kafka.server.util.FileLock;

/**
 * What a broker needs on disk before its first start. A directory written elsewhere is served only
 * if the cluster's metadata knows its topics by the ids in their partition.metadata: they join the
 * records that a controller with an empty metadata log begins with.
 */
final class BrokerStorage {
  private static final int NODE_ID = 1;

  private BrokerStorage() {}

  static JsonNode format(JsonNode request) throws Exception {
    String properties = request.get("properties").textValue();
    String clusterId = request.get("clusterId").textValue();
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    String[] arguments = {
      "format", "--config", properties, "--cluster-id", clusterId, "--ignore-formatted"
    };
    int status;
    try (PrintStream stream = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      status = kafka.tools.StorageTool.execute(arguments, stream);
    }
    if (status != 0) throw new IllegalStateException(said.toString(StandardCharsets.UTF_8));
    JsonNode topics = request.get("topics");
    if (!topics.isEmpty()) admit(request, topics);
    return NullNode.getInstance();
  }

  /** Whether a broker could lock this directory now. */
  static JsonNode canLock(JsonNode request) throws Exception {
    FileLock lock = new FileLock(new File(request.get("directory").textValue(), ".lock"));
    boolean isLocked = lock.tryLock();
    lock.destroy();
    return BooleanNode.valueOf(isLocked);
  }

  private static void admit(JsonNode request, JsonNode topics) throws Exception {
    String directory = request.get("metadataDirectory").textValue();
    Uuid directoryId = Uuid.fromString(request.get("directoryId").textValue());
    BootstrapDirectory bootstrap = new BootstrapDirectory(directory);
    BootstrapMetadata formatted = bootstrap.read();
    List<ApiMessageAndVersion> records = new ArrayList<>(formatted.records());
    for (JsonNode topic : topics) {
      Uuid id = Uuid.fromString(topic.get("id").textValue());
      String name = topic.get("name").textValue();
      TopicRecord named = new TopicRecord().setName(name).setTopicId(id);
      records.add(new ApiMessageAndVersion(named, (short) 0));
      for (int partition = 0; partition < topic.get("partitions").intValue(); partition++) {
        PartitionRecord placed =
            new PartitionRecord()
                .setPartitionId(partition)
                .setTopicId(id)
                .setReplicas(List.of(NODE_ID))
                .setIsr(List.of(NODE_ID))
                // As if it had led before: a partition that nobody led waits for a leader for ever.
                .setLeader(NODE_ID)
                // Above those in the log: consumers take a lower one for old news.
                .setLeaderEpoch(topic.get("leaderEpoch").intValue())
                .setPartitionEpoch(0)
                .setDirectories(List.of(directoryId));
        short version = formatted.metadataVersion().partitionRecordVersion();
        records.add(new ApiMessageAndVersion(placed, version));
      }
      for (Map.Entry<String, JsonNode> setting : topic.get("config").properties()) {
        ConfigRecord configured =
            new ConfigRecord()
                .setResourceType(ConfigResource.Type.TOPIC.id())
                .setResourceName(name)
                .setName(setting.getKey())
                .setValue(setting.getValue().textValue());
        records.add(new ApiMessageAndVersion(configured, (short) 0));
      }
    }
    Files.delete(Path.of(directory, BootstrapDirectory.BINARY_BOOTSTRAP_FILENAME));
    bootstrap.writeBinaryFile(BootstrapMetadata.fromRecords(records, "streambed"));
  }
}
