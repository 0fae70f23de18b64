import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.remoting.protocol.filter.FilterAPI;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;

/** Writes what Java's FilterAPI makes of tag expressions: expression, tags, hashes, each in hex and sorted; or "error" and its text. */
public class GoldenTags {
    static final String[] PIECES = {"A", "B", "TagC", "tag d", " ", "|", "||", "||", "||", "*", "\t", "\n", "\u00e9", "\u4e2d\u6587", "\ud83d\ude00",
        "&&", "\u3000", "\u00a0", "\u0001", "Aa", "BB", "=", "0"};

    public static void main(String[] args) throws Exception {
        Set<String> all = new LinkedHashSet<>();
        for (String s : new String[] {"", "*", "A", "A||B", "A || B", "||", "||||", "|||", "|", "A||", "||A", "A||||B", "A|B", " ", "* ", "A||*", "Aa||BB"}) {
            all.add(s);
        }
        Random r = new Random(55);
        while (all.size() < 1200) {
            StringBuilder b = new StringBuilder();
            for (int n = 1 + r.nextInt(8); n > 0; n--) {
                b.append(PIECES[r.nextInt(PIECES.length)]);
            }
            all.add(b.toString());
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Paths.get(args[0]), StandardCharsets.UTF_8))) {
            for (String s : all) {
                try {
                    SubscriptionData d = FilterAPI.buildSubscriptionData("T", s);
                    List<String> tags = new ArrayList<>();
                    for (String t : new TreeSet<>(d.getTagsSet())) {
                        tags.add(hex(t));
                    }
                    out.print(hex(s) + "\t" + d.getSubString().equals("*") + "\t" + String.join(",", tags) + "\t");
                    List<String> codes = new ArrayList<>();
                    for (Integer c : new TreeSet<>(d.getCodeSet())) {
                        codes.add(c.toString());
                    }
                    out.print(String.join(",", codes) + "\n");
                } catch (Exception e) {
                    out.print(hex(s) + "\terror\t" + e.getMessage() + "\t\n");
                }
            }
        }
    }

    static String hex(String s) {
        StringBuilder b = new StringBuilder();
        for (byte x : s.getBytes(StandardCharsets.UTF_8)) {
            b.append(String.format("%02x", x));
        }
        return b.length() == 0 ? "-" : b.toString();
    }
}
