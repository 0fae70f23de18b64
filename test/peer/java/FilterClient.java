import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * SQL92 filters with the unmodified client. Usage: FilterClient namesrv topic group expression count lates
 * Sends 100 messages with the properties n (their number) and colour, and consumes what the expression wants, which is count of them.
 * When nothing more has come for two seconds it sends one more that is wanted ("late"), to see how long a waiting pull takes: up to
 * lates times, since the machine may have been busy, and the shortest counts.
 */
public class FilterClient {
    public static void main(String[] a) throws Exception {
        String ns = a[0], topic = a[1], group = a[2], expression = a[3];
        int count = Integer.parseInt(a[4]), most = Integer.parseInt(a[5]);
        String[] colours = {"red", "green", "blue", "dark red"};
        DefaultMQProducer p = Result.patient(new DefaultMQProducer(group + "_p"));
        p.setNamesrvAddr(ns);
        p.start();
        for (int i = 0; i < 100; i++) {
            Message m = new Message(topic, "TagA", ("body-" + i).getBytes(StandardCharsets.UTF_8));
            m.putUserProperty("n", String.valueOf(i));
            m.putUserProperty("colour", colours[i % 4]);
            p.send(m);
        }
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group));
        c.setNamesrvAddr(ns);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, MessageSelector.bySql(expression));
        Set<Integer> numbers = new ConcurrentSkipListSet<>();
        AtomicInteger got = new AtomicInteger();
        AtomicLong last = new AtomicLong(System.currentTimeMillis()), late = new AtomicLong(Long.MAX_VALUE);
        Semaphore came = new Semaphore(0);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                String body = new String(m.getBody(), StandardCharsets.UTF_8);
                if (body.startsWith("late-")) {
                    late.accumulateAndGet(System.currentTimeMillis() - Long.parseLong(body.substring(5)), Math::min);
                    came.release();
                    continue;
                }
                got.incrementAndGet();
                numbers.add(Integer.parseInt(m.getUserProperty("n")));
                last.set(System.currentTimeMillis());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        try {
            c.start();
        } catch (MQClientException e) {
            System.out.println("{\"action\":\"filter\",\"code\":" + e.getResponseCode() + ",\"error\":\"" +
                String.valueOf(e.getMessage()).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + "\"}");
            System.exit(0);
        }
        long end = System.currentTimeMillis() + 60_000;
        int lates = 0;
        for (; ; lates++) {
            last.set(System.currentTimeMillis()); // pulls wait again
            while (System.currentTimeMillis() < end && (got.get() < count || System.currentTimeMillis() - last.get() < 2000)) Thread.sleep(20);
            if (lates == most || late.get() <= 1500) break;
            Message m = new Message(topic, "TagA", ("late-" + System.currentTimeMillis()).getBytes(StandardCharsets.UTF_8));
            m.putUserProperty("n", "12");
            m.putUserProperty("colour", "green");
            p.send(m);
            came.tryAcquire(20, TimeUnit.SECONDS);
        }
        c.shutdown();
        p.shutdown();
        System.out.println("{\"action\":\"filter\",\"got\":" + got.get() + ",\"numbers\":\"" + new TreeSet<>(numbers) + "\",\"late\":" + late.get() + ",\"lates\":" + lates + "}");
        System.exit(0);
    }
}
