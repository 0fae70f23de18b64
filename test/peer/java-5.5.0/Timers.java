import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Messages with a time of their own, and recalls, with the unmodified client.
 * Usage: Timers send|consume|both namesrv topic group count ms recalls; of those that are sent the first recalls are taken back.
 */
public class Timers {
    public static void main(String[] a) throws Exception {
        String what = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]), sent = 0, recalled = 0, wrongId = 0;
        if (!what.equals("consume")) {
            long ms = Long.parseLong(a[5]);
            int recalls = Integer.parseInt(a[6]);
            DefaultMQProducer p = new DefaultMQProducer(group + "_p");
            p.setNamesrvAddr(ns);
            p.setSendMsgTimeout(30_000);
            p.start();
            List<SendResult> take = new ArrayList<>();
            for (int i = 0; i < count + recalls; i++) {
                long now = System.currentTimeMillis(), due = now + ms;
                if (i % 3 == 0) due = now + (ms + 999) / 1000 * 1000;
                String body = due + " " + (i < recalls ? "recalled" : "kept") + " " + i;
                Message m = new Message(topic, "TagA", body.getBytes(StandardCharsets.UTF_8));
                if (i % 3 == 0) m.setDelayTimeSec((ms + 999) / 1000);
                if (i % 3 == 1) m.setDelayTimeMs(ms);
                if (i % 3 == 2) m.setDeliverTimeMs(due);
                SendResult r = p.send(m);
                sent++;
                if (i < recalls) take.add(r);
            }
            for (SendResult r : take) {
                String id = p.recallMessage(topic, r.getRecallHandle());
                if (!id.equals(r.getMsgId())) wrongId++;
                recalled++;
            }
            p.shutdown();
        }
        AtomicInteger got = new AtomicInteger(), gone = new AtomicInteger();
        AtomicLong first = new AtomicLong(Long.MAX_VALUE), last = new AtomicLong(Long.MIN_VALUE);
        Set<String> distinct = ConcurrentHashMap.newKeySet();
        if (!what.equals("send")) {
            CountDownLatch latch = new CountDownLatch(count);
            DefaultMQPushConsumer c = new DefaultMQPushConsumer(group);
            c.setNamesrvAddr(ns);
            c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            c.subscribe(topic, "*");
            c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
                for (MessageExt m : msgs) {
                    String body = new String(m.getBody(), StandardCharsets.UTF_8);
                    long late = m.getStoreTimestamp() - Long.parseLong(body.split(" ")[0]);
                    first.accumulateAndGet(late, Math::min);
                    last.accumulateAndGet(late, Math::max);
                    if (body.contains("recalled")) gone.incrementAndGet();
                    if (distinct.add(body)) latch.countDown(); // after a kill some may come twice
                    got.incrementAndGet();
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            c.start();
            latch.await(60, TimeUnit.SECONDS);
            Thread.sleep(1500);
            c.shutdown();
        }
        System.out.println("{\"action\":\"timers\",\"sent\":" + sent + ",\"got\":" + got + ",\"distinct\":" + distinct.size() + ",\"recalled\":" + recalled +
            ",\"wrongId\":" + wrongId + ",\"gone\":" + gone + ",\"early\":" + (first.get() < 0) + ",\"earliest\":" + first + ",\"latest\":" + last + "}");
        System.exit(0);
    }
}
