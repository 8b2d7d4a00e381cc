import java.util.HexFormat;
import org.apache.kafka.tools.api.Decoder;

/** Keys and values as DumpLogSegments prints them for us: hex digits, whatever the bytes are. */
public final class HexDecoder implements Decoder<String> {
  @Override
  public String fromBytes(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
