import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.remoting.protocol.EpochEntry;
import org.apache.rocketmq.store.ha.autoswitch.EpochFileCache;

/** Reads the file of epochs as a Java broker does, appends one epoch, and says what it has read: EpochFile PATH EPOCH START. */
public class EpochFile {
    public static void main(String[] args) {
        EpochFileCache cache = new EpochFileCache(args[0]);
        boolean read = cache.initCacheFromFile();
        List<String> list = new ArrayList<>();
        for (EpochEntry e : cache.getAllEntries()) {
            list.add("\"" + e.getEpoch() + "-" + e.getStartOffset() + "-" + e.getEndOffset() + "\"");
        }
        boolean added = cache.appendEntry(new EpochEntry(Integer.parseInt(args[1]), Long.parseLong(args[2])));
        System.out.println("{\"read\":" + read + ",\"added\":" + added + ",\"epochs\":[" + String.join(",", list) + "]}");
        System.exit(0);
    }
}
