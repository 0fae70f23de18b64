import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A consumer that runs until it was given count messages, while the broker calls it. Usage: Called namesrv topic group count */
public class Called {
    public static void main(String[] a) throws Exception {
        int count = Integer.parseInt(a[3]);
        CountDownLatch latch = new CountDownLatch(count);
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(a[2]));
        c.setNamesrvAddr(a[0]);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setPersistConsumerOffsetInterval(500);
        c.subscribe(a[1], "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) latch.countDown();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        boolean all = latch.await(100, TimeUnit.SECONDS);
        c.shutdown();
        System.out.println("{\"action\":\"called\",\"got\":" + (count - latch.getCount()) + ",\"all\":" + all + "}");
        System.exit(0);
    }
}
