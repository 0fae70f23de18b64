import java.io.File;
import org.apache.rocketmq.store.index.IndexFile;

/**
 * Makes testdata/java/VERSION with the index files that the real Java class writes for the puts of golden_test.go:
 *
 *   java -Dfile.encoding=UTF-8 -cp "$JARS/*" IndexGolden.java testdata/java/VERSION
 */
public class IndexGolden {
    public static void main(String[] args) throws Exception {
        final int slots = 10, entries = 50;
        IndexFile f = null;
        int files = 0;
        for (int i = 0; i < 120; i++) {
            String key = "Topic" + i % 3 + "#" + (i % 10 == 0 ? "\u65e5\u672c\ud83d\ude00" + i : "key-" + i * 7919 % 101);
            long offset = i * 333L;
            long time = 1700000000000L + i * 1777L - i % 7 * 1000L;
            if (f == null || f.isWriteFull()) {
                long end = f == null ? 0 : f.getEndPhyOffset(), endTime = f == null ? 0 : f.getEndTimestamp();
                if (f != null) {
                    f.flush();
                }
                f = new IndexFile(args[0] + File.separator + (20250101000000000L + files++), slots, entries, end, endTime);
            }
            if (!f.putKey(key, offset, time)) {
                throw new IllegalStateException("put " + i);
            }
        }
        f.flush();
        System.exit(0);
    }
}
