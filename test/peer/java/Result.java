import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** What a run has to say: one line of JSON. */
class Result {
    /** Waits longer than the 3 s that are the default: a machine that does much else needs them. */
    static <P extends DefaultMQProducer> P patient(P p) {
        p.setSendMsgTimeout(30_000);
        p.setMqClientApiTimeout(30_000);
        return p;
    }

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
