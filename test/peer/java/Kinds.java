import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Topics whose queues are of another kind.
 * Usage: Kinds batches|keyed namesrv topic group count
 * batches sends count batches of four, keyed count messages with five keys; both consume them all.
 */
public class Kinds {
    public static void main(String[] a) throws Exception {
        int count = Integer.parseInt(a[4]), want = a[0].equals("batches") ? 4 * count : count;
        DefaultMQProducer p = Result.patient(new DefaultMQProducer(a[3] + "_p"));
        p.setNamesrvAddr(a[1]);
        p.setInstanceName("p" + System.nanoTime());
        p.start();
        int ok = 0;
        for (int i = 0; i < count; i++) {
            if (a[0].equals("batches")) {
                List<Message> batch = new ArrayList<>();
                for (int k = 0; k < 4; k++) {
                    batch.add(new Message(a[2], "t" + k, ("m" + (4 * i + k)).getBytes(StandardCharsets.UTF_8)));
                }
                if (p.send(batch).getSendStatus() == SendStatus.SEND_OK) ok++;
            } else if (p.send(new Message(a[2], "t", "k" + i % 5, ("m" + i).getBytes(StandardCharsets.UTF_8))).getSendStatus() == SendStatus.SEND_OK) {
                ok++;
            }
        }
        AtomicInteger got = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        Map<String, Boolean> bodies = new ConcurrentHashMap<>();
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(a[3]));
        c.setNamesrvAddr(a[1]);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(a[2], "*");
        c.registerMessageListener((MessageListenerConcurrently) (ms, ctx) -> {
            for (MessageExt m : ms) {
                String body = new String(m.getBody(), StandardCharsets.UTF_8);
                got.incrementAndGet();
                bodies.put(body, true);
                int n = Integer.parseInt(body.substring(1));
                String tag = a[0].equals("batches") ? "t" + n % 4 : "t";
                if (!tag.equals(m.getTags()) || !a[0].equals("batches") && !("k" + n % 5).equals(m.getKeys())) wrong.incrementAndGet();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        for (long end = System.currentTimeMillis() + 60_000; bodies.size() < want && System.currentTimeMillis() < end; ) {
            Thread.sleep(50);
        }
        Thread.sleep(500);
        c.shutdown();
        p.shutdown();
        Map<String, Object> out = new TreeMap<>();
        out.put("ok", ok);
        out.put("got", got.get());
        out.put("distinct", bodies.size());
        out.put("wrong", wrong.get());
        Result.print(out);
        System.exit(0);
    }
}
