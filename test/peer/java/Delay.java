import java.nio.charset.StandardCharsets;
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
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Delay levels with the unmodified client; the body is when the message is due.
 * Usage: Delay send namesrv topic group count level times..., Delay consume namesrv topic group count, Delay both (as send)
 * times: the seconds of level 1, 2, ...; level 0 uses all of them in turn.
 */
public class Delay {
    public static void main(String[] a) throws Exception {
        String what = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]);
        int sent = 0;
        if (!what.equals("consume")) {
            DefaultMQProducer p = new DefaultMQProducer(group + "_p");
            p.setNamesrvAddr(ns);
            p.setSendMsgTimeout(30_000);
            p.start();
            int level = Integer.parseInt(a[5]), levels = a.length - 6;
            for (int i = 0; i < count; i++) {
                int l = level > 0 ? level : 1 + i % levels;
                long due = System.currentTimeMillis() + 1000 * Long.parseLong(a[5 + l]);
                Message m = new Message(topic, "TagA", (due + " " + i).getBytes(StandardCharsets.UTF_8));
                m.setDelayTimeLevel(l);
                p.send(m);
                sent++;
            }
            p.shutdown();
        }
        AtomicInteger got = new AtomicInteger();
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
                    if (distinct.add(body)) latch.countDown(); // after a kill some may come twice
                    got.incrementAndGet();
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            c.start();
            latch.await(60, TimeUnit.SECONDS);
            Thread.sleep(300);
            c.shutdown();
        }
        System.out.println("{\"action\":\"delay\",\"sent\":" + sent + ",\"got\":" + got + ",\"distinct\":" + distinct.size() +
            ",\"early\":" + (first.get() < 0) + ",\"latest\":" + last + "}");
        System.exit(0);
    }
}
