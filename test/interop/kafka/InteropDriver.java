import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's tools and clients in one JVM, driven by kafka-driver.ts: a request is a line of JSON on
 * standard input, its answer a line on standard output: {"result": ...} or {"error": "..."}. One at
 * a time. What Kafka's tools print is part of the answer, never mixed with it.
 */
public final class InteropDriver {
  private static final ObjectMapper JSON = new ObjectMapper();

  private InteropDriver() {}

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    // Before any class of Scala is loaded: its println keeps the stream that it found first.
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    Exit.setExitProcedure(InteropDriver::refuseExit);
    Exit.setHaltProcedure(InteropDriver::refuseExit);
    InputStreamReader input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
    try (BufferedReader requests = new BufferedReader(input)) {
      for (String line = requests.readLine(); line != null; line = requests.readLine()) {
        ObjectNode answer = JSON.createObjectNode();
        printed.reset();
        try {
          answer.set("result", perform(JSON.readTree(line), printed));
        } catch (Throwable failure) {
          answer.put("error", printed.toString(StandardCharsets.UTF_8) + traceOf(failure));
        }
        answers.println(JSON.writeValueAsString(answer));
        answers.flush();
      }
    }
    System.exit(0);
  }

  private static JsonNode perform(JsonNode request, ByteArrayOutputStream printed) throws Exception {
    return switch (request.get("command").textValue()) {
      case "tool" -> {
        String[] arguments = JSON.convertValue(request.get("arguments"), String[].class);
        Class<?> tool = Class.forName(request.get("mainClass").textValue());
        tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
        yield JSON.getNodeFactory().textNode(printed.toString(StandardCharsets.UTF_8));
      }
      case "format" -> BrokerStorage.format(request);
      case "canLock" -> BrokerStorage.canLock(request);
      case "createTopics" -> BrokerClients.createTopics(request);
      case "addPartitions" -> BrokerClients.addPartitions(request);
      case "deleteTopic" -> BrokerClients.deleteTopic(request);
      case "awaitBroker" -> BrokerClients.awaitBroker(request);
      case "produce" -> BrokerClients.produce(request);
      case "transact" -> BrokerTransactions.transact(request);
      case "consume" -> BrokerClients.consume(request);
      default -> throw new IllegalArgumentException("no such command: " + request);
    };
  }

  private static void refuseExit(int status, String message) {
    throw new IllegalStateException("exit " + status + ": " + message);
  }

  private static String traceOf(Throwable failure) {
    StringWriter trace = new StringWriter();
    failure.printStackTrace(new PrintWriter(trace, true));
    return trace.toString();
  }
}
