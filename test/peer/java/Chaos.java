import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * An application that goes on through accidents and says line by line what it was told: "S sender number" was acknowledged,
 * "C sender number" was consumed. It ends when its input ends.
 * Usage: Chaos send|consume|churn namesrv topic group ms
 * ms: between two messages of a sender; between work and acknowledgement of a consumer; between join and leave of churn.
 */
public class Chaos {
    public static void main(String[] a) throws Exception {
        String ns = a[1], topic = a[2], group = a[3];
        long ms = Long.parseLong(a[4]);
        switch (a[0]) {
            case "send": send(ns, topic, group, ms); break;
            case "consume": consumer(ns, topic, group, ms); break;
            case "churn": new Thread(() -> churn(ns, topic, group, ms)).start(); break;
            default: throw new IllegalArgumentException(a[0]);
        }
        while (System.in.read() >= 0) { }
        Runtime.getRuntime().halt(0);
    }

    static synchronized void say(String kind, String what) {
        System.out.println(kind + " " + what);
        System.out.flush();
    }

    static void send(String ns, String topic, String group, long ms) throws Exception {
        DefaultMQProducer p = new DefaultMQProducer(group);
        p.setNamesrvAddr(ns);
        p.setPollNameServerInterval(1000);
        p.start();
        for (int s = 0; s < 4; s++) {
            final int sender = s;
            Thread t = new Thread(() -> {
                for (long n = 0; ; n++) {
                    byte[] body = (sender + " " + n).getBytes(StandardCharsets.UTF_8);
                    while (true) {
                        try {
                            SendResult r = p.send(new Message(topic, body), (qs, m, arg) -> qs.get(sender % qs.size()), null);
                            if (r.getSendStatus() == SendStatus.SEND_OK) say("S", sender + " " + n);
                            break;
                        } catch (Exception e) {
                            pause(50); // and again
                        }
                    }
                    pause(ms);
                }
            });
            t.setDaemon(true);
            t.start();
        }
    }

    static DefaultMQPushConsumer consumer(String ns, String topic, String group, long ms) throws Exception {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(group);
        c.setNamesrvAddr(ns);
        c.setPollNameServerInterval(1000);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) say("C", new String(m.getBody(), StandardCharsets.UTF_8));
            pause(ms);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        return c;
    }

    /** Every so often one joins, or the oldest of three leaves. */
    static void churn(String ns, String topic, String group, long ms) {
        ArrayDeque<DefaultMQPushConsumer> live = new ArrayDeque<>();
        try {
            for (boolean leave = false; ; leave = live.size() >= 3 || leave && live.size() > 1) {
                if (leave) live.remove().shutdown();
                else live.add(consumer(ns, topic, group, 0));
                say("J", live.size() + " live");
                pause(ms);
            }
        } catch (Exception e) {
            say("E", e.toString());
        }
    }

    static void pause(long ms) {
        try {
            if (ms > 0) Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
