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
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Consumes messages whose body begins with the time in ms at which they are due, and notes how late they were stored. */
class Due {
    final AtomicInteger got = new AtomicInteger(), gone = new AtomicInteger(); // gone: those that say they were recalled
    final AtomicLong first = new AtomicLong(Long.MAX_VALUE), last = new AtomicLong(Long.MIN_VALUE); // least and most late, ms
    final Set<String> distinct = ConcurrentHashMap.newKeySet();

    /** Waits for count different messages, two minutes at most, and then for ms more. */
    void consume(String ns, String topic, String group, int count, long ms) throws Exception {
        CountDownLatch latch = new CountDownLatch(count);
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group));
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
                got.incrementAndGet();
                if (distinct.add(body)) latch.countDown(); // after a kill some may come twice
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        latch.await(120, TimeUnit.SECONDS);
        Thread.sleep(ms);
        c.shutdown();
    }
}
