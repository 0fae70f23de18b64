import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Requests that another consumer answers. Usage: RequestReply namesrv topic group count */
public class RequestReply {
    public static void main(String[] a) throws Exception {
        String ns = a[0], topic = a[1], group = a[2];
        int count = Integer.parseInt(a[3]);
        DefaultMQProducer replier = Result.patient(new DefaultMQProducer(group + "_replier"));
        replier.setNamesrvAddr(ns);
        replier.setInstanceName(group + "_replier");
        replier.start();
        AtomicInteger refused = new AtomicInteger();
        DefaultMQPushConsumer consumer = Result.patient(new DefaultMQPushConsumer(group));
        consumer.setNamesrvAddr(ns);
        consumer.setInstanceName(group + "_consumer");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                try {
                    String text = new String(m.getBody(), StandardCharsets.UTF_8);
                    Message reply = MessageUtil.createReplyMessage(m, ("answer to " + text).getBytes(StandardCharsets.UTF_8));
                    replier.send(reply);
                } catch (Exception e) {
                    System.err.println(e);
                    refused.incrementAndGet();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();

        DefaultMQProducer producer = Result.patient(new DefaultMQProducer(group + "_asker"));
        producer.setNamesrvAddr(ns);
        producer.setInstanceName(group + "_asker");
        producer.start();
        // The brokers must know who listens and who asks before anything is answered.
        for (DefaultMQProducer x : new DefaultMQProducer[] {replier, producer}) {
            x.getDefaultMQProducerImpl().getmQClientFactory().updateTopicRouteInfoFromNameServer(topic);
            x.getDefaultMQProducerImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
        }
        Thread.sleep(1000);

        int sync = 0;
        for (int i = 0; i < count; i++) {
            Message r = producer.request(new Message(topic, ("sync " + i).getBytes(StandardCharsets.UTF_8)), 30000);
            if (new String(r.getBody(), StandardCharsets.UTF_8).equals("answer to sync " + i)) sync++;
        }
        AtomicInteger async = new AtomicInteger();
        CountDownLatch latch = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            String text = "async " + i;
            producer.request(new Message(topic, text.getBytes(StandardCharsets.UTF_8)), new RequestCallback() {
                public void onSuccess(Message r) {
                    if (new String(r.getBody(), StandardCharsets.UTF_8).equals("answer to " + text)) async.incrementAndGet();
                    latch.countDown();
                }

                public void onException(Throwable e) {
                    System.err.println(e);
                    latch.countDown();
                }
            }, 30000);
        }
        latch.await(40, TimeUnit.SECONDS);
        boolean timedOut = false;
        Message unheard = new Message(topic + "_nobody", "x".getBytes(StandardCharsets.UTF_8));
        producer.send(unheard); // makes the topic; nothing of that counts below
        try {
            producer.request(unheard, 2000);
        } catch (org.apache.rocketmq.client.exception.RequestTimeoutException e) {
            timedOut = true;
        }
        // The asker is gone: its answer is refused.
        producer.shutdown();
        consumer.shutdown();
        replier.shutdown();
        System.out.println("{\"action\":\"request\",\"sync\":" + sync + ",\"async\":" + async.get() + ",\"refused\":" + refused.get()
            + ",\"timedOut\":" + timedOut + "}");
        System.exit(0);
    }
}
