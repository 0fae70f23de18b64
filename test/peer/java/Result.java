import java.util.Map;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** What a run has to say: one line of JSON. */
class Result {
    /** Waits longer than the 3 s that are the default: a machine that does much else needs them. What was consumed counts at the end. */
    static <C extends ClientConfig> C patient(C c) {
        c.setMqClientApiTimeout(30_000);
        if (c instanceof DefaultMQProducer) ((DefaultMQProducer) c).setSendMsgTimeout(30_000);
        if (c instanceof DefaultMQPushConsumer) ((DefaultMQPushConsumer) c).setAwaitTerminationMillisWhenShutdown(10_000);
        return c;
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
