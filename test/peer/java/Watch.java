import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A consumer that stays: it consumes for some seconds, whatever happens to the brokers meanwhile.
 * Usage: Watch namesrv topic group seconds
 */
public class Watch {
    public static void main(String[] a) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        AtomicInteger got = new AtomicInteger();
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(a[2]));
        c.setNamesrvAddr(a[0]);
        c.setInstanceName("watch" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setPollNameServerInterval(1000);
        c.setHeartbeatBrokerInterval(1000);
        c.setPersistConsumerOffsetInterval(1000);
        c.subscribe(a[1], "*");
        c.registerMessageListener((MessageListenerConcurrently) (List<MessageExt> list, org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext x) -> {
            for (MessageExt m : list) {
                got.incrementAndGet();
                seen.add(new String(m.getBody()));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        Thread.sleep(Long.parseLong(a[3]) * 1000);
        c.shutdown();
        Map<String, Object> out = new TreeMap<>();
        out.put("action", "watch");
        out.put("distinct", seen.size());
        out.put("again", got.get() - seen.size());
        Result.print(out);
        System.exit(0);
    }
}
