import java.util.Map;
import java.util.TreeMap;

/** What was tried, and how it went. */
final class Steps {
    /** How long is waited for what must come. */
    static final long PATIENCE = 30_000;

    private static final Map<String, Object> out = new TreeMap<>();

    interface Step { boolean run() throws Exception; }

    private Steps() { }

    static void step(String name, Step s) {
        try {
            out.put(name, s.run());
        } catch (Throwable e) {
            out.put(name, e.toString());
        }
    }

    /** Prints one line of JSON with true for each thing that works, and ends the program. */
    static void print(String action) {
        StringBuilder b = new StringBuilder("{\"action\":\"").append(action).append('"');
        for (Map.Entry<String, Object> e : out.entrySet()) {
            b.append(",\"").append(e.getKey()).append("\":");
            if (e.getValue() instanceof Boolean) b.append(e.getValue());
            else b.append('"').append(String.valueOf(e.getValue()).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ")).append('"');
        }
        System.out.println(b.append('}'));
        System.exit(0);
    }
}
