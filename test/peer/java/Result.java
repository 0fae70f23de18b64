import java.util.Map;

/** What a run has to say: one line of JSON. */
class Result {
    static void print(Map<String, Object> out) {
        StringBuilder b = new StringBuilder("{");
        for (Map.Entry<String, Object> e : out.entrySet()) {
            if (b.length() > 1) b.append(',');
            b.append('"').append(e.getKey()).append("\":");
            Object v = e.getValue();
            if (v instanceof Number || v instanceof Boolean) b.append(v);
            else b.append('"').append(String.valueOf(v).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ")).append('"');
        }
        System.out.println(b.append('}'));
    }
}
