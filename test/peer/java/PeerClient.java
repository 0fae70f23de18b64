import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * An ordinary application on the unmodified RocketMQ client: one action a run, one line of JSON as its result.
 * Usage: PeerClient ACTION namesrv topic group count [extra]
 */
public class PeerClient {
    static final Map<String, Object> out = new TreeMap<>();

    public static void main(String[] a) throws Exception {
        String action = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]);
        String extra = a.length > 5 ? a[5] : "";
        out.put("action", action);
        switch (action) {
            case "send": send(ns, topic, group, count, extra); break;
            case "async": async(ns, topic, group, count); break;
            case "oneway": oneway(ns, topic, group, count); break;
            case "batch": batch(ns, topic, group, count); break;
            case "ordered": ordered(ns, topic, group, count); break;
            case "push": push(ns, topic, group, count, extra); break;
            case "orderly": orderly(ns, topic, group, count); break;
            case "litepull": litePull(ns, topic, group, count); break;
            case "view": view(ns, topic, group, extra); break;
            case "bykey": byKey(ns, topic, group, extra); break;
            case "big": big(ns, topic, group, count); break;
            default: throw new IllegalArgumentException(action);
        }
        Result.print(out);
        System.exit(0);
    }

    static DefaultMQProducer producer(String ns, String group) throws Exception {
        DefaultMQProducer p = new DefaultMQProducer(group);
        p.setNamesrvAddr(ns);
        p.setInstanceName("p" + System.nanoTime());
        Result.patient(p);
        p.start();
        return p;
    }

    static Message message(String topic, int i) {
        return new Message(topic, i % 2 == 0 ? "TagA" : "TagB", "key" + i, ("body-" + i).getBytes(StandardCharsets.UTF_8));
    }

    static void send(String ns, String topic, String group, int count, String extra) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        int ok = 0;
        String last = "", lastOffsetId = "";
        for (int i = 0; i < count; i++) {
            SendResult r = p.send(message(topic, i));
            if (r.getSendStatus() == SendStatus.SEND_OK) ok++;
            last = r.getMsgId();
            lastOffsetId = r.getOffsetMsgId();
        }
        out.put("ok", ok);
        out.put("msgId", last);
        out.put("offsetMsgId", lastOffsetId);
        p.shutdown();
    }

    static void async(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        CountDownLatch l = new CountDownLatch(count);
        AtomicInteger ok = new AtomicInteger();
        for (int i = 0; i < count; i++) {
            p.send(message(topic, i), new SendCallback() {
                public void onSuccess(SendResult r) { ok.incrementAndGet(); l.countDown(); }
                public void onException(Throwable e) { out.put("error", e.toString()); l.countDown(); }
            });
        }
        l.await(60, TimeUnit.SECONDS);
        out.put("ok", ok.get());
        p.shutdown();
    }

    static void oneway(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        p.send(message(topic, 0));
        for (int i = 1; i < count; i++) p.sendOneway(message(topic, i));
        Thread.sleep(500);
        out.put("ok", count);
        p.shutdown();
    }

    static void batch(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        int ok = 0;
        for (int i = 0; i < count; ) {
            List<Message> l = new ArrayList<>();
            for (int k = 0; k < 32 && i < count; k++, i++) l.add(message(topic, i));
            SendResult r = p.send(l);
            if (r.getSendStatus() == SendStatus.SEND_OK) ok += l.size();
            if (r.getOffsetMsgId().split(",").length != l.size()) out.put("error", "ids " + r.getOffsetMsgId());
        }
        out.put("ok", ok);
        p.shutdown();
    }

    /** Sends numbers in order, each shard to one queue. */
    static void ordered(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        int ok = 0;
        for (int i = 0; i < count; i++) {
            int shard = i % 4;
            Message m = new Message(topic, "T", "k" + i, (shard + ":" + i / 4).getBytes(StandardCharsets.UTF_8));
            SendResult r = p.send(m, (qs, msg, arg) -> qs.get((Integer) arg % qs.size()), shard);
            if (r.getSendStatus() == SendStatus.SEND_OK) ok++;
        }
        out.put("ok", ok);
        p.shutdown();
    }

    static void big(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        byte[] body = new byte[count];
        for (int i = 0; i < count; i++) body[i] = (byte) (i * 31);
        SendResult r = p.send(new Message(topic, "Big", "big", body));
        out.put("ok", r.getSendStatus() == SendStatus.SEND_OK ? 1 : 0);
        p.shutdown();
    }

    static void push(String ns, String topic, String group, int count, String tags) throws Exception {
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group));
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, tags.isEmpty() ? "*" : tags);
        Set<String> bodies = Collections.newSetFromMap(new ConcurrentHashMap<>());
        AtomicInteger got = new AtomicInteger();
        CountDownLatch l = new CountDownLatch(count);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                got.incrementAndGet();
                if (bodies.add(new String(m.getBody(), StandardCharsets.UTF_8))) l.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        l.await(60, TimeUnit.SECONDS);
        Thread.sleep(300);
        c.shutdown();
        out.put("got", got.get());
        out.put("distinct", bodies.size());
    }

    static void orderly(String ns, String topic, String group, int count) throws Exception {
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group));
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "*");
        Map<String, Integer> last = new ConcurrentHashMap<>();
        AtomicInteger got = new AtomicInteger(), inverted = new AtomicInteger();
        CountDownLatch l = new CountDownLatch(count);
        c.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                String[] p = new String(m.getBody(), StandardCharsets.UTF_8).split(":");
                Integer prev = last.put(p[0], Integer.parseInt(p[1]));
                if (prev != null && prev >= Integer.parseInt(p[1])) inverted.incrementAndGet();
                got.incrementAndGet();
                l.countDown();
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        c.start();
        l.await(60, TimeUnit.SECONDS);
        Thread.sleep(300);
        c.shutdown();
        out.put("got", got.get());
        out.put("inverted", inverted.get());
    }

    static void litePull(String ns, String topic, String group, int count) throws Exception {
        DefaultLitePullConsumer c = Result.patient(new DefaultLitePullConsumer(group));
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "*");
        c.setAutoCommit(true);
        c.start();
        Set<String> bodies = new HashSet<>();
        int got = 0;
        long end = System.currentTimeMillis() + 60000;
        while (bodies.size() < count && System.currentTimeMillis() < end) {
            for (MessageExt m : c.poll(1000)) {
                got++;
                bodies.add(new String(m.getBody(), StandardCharsets.UTF_8));
            }
        }
        c.shutdown();
        out.put("got", got);
        out.put("distinct", bodies.size());
    }

    static void byKey(String ns, String topic, String group, String key) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        out.put("byKey", p.queryMessage(topic, key, 32, 0, System.currentTimeMillis() + 60000).getMessageList().size());
        long sum = 0;
        for (MessageQueue q : p.fetchPublishMessageQueues(topic)) sum += p.maxOffset(q) - p.minOffset(q);
        out.put("messages", sum);
        p.shutdown();
    }

    /** Finds a message by offset id and by key. */
    static void view(String ns, String topic, String group, String id) throws Exception {
        DefaultMQProducer p = producer(ns, group);
        MessageExt m = p.viewMessage(topic, id);
        out.put("body", new String(m.getBody(), StandardCharsets.UTF_8));
        out.put("keys", String.valueOf(m.getKeys()));
        int n = p.queryMessage(topic, m.getKeys(), 32, 0, System.currentTimeMillis() + 60000).getMessageList().size();
        out.put("byKey", n);
        List<MessageQueue> qs = p.fetchPublishMessageQueues(topic);
        out.put("queues", qs.size());
        long sum = 0;
        for (MessageQueue q : qs) sum += p.maxOffset(q) - p.minOffset(q);
        out.put("messages", sum);
        out.put("earliest", p.earliestMsgStoreTime(m.getBrokerName() == null || m.getBrokerName().isEmpty() ? qs.get(0) : new MessageQueue(topic, m.getBrokerName(), m.getQueueId())));
        out.put("searched", p.searchOffset(qs.get(0), 0));
        p.shutdown();
    }
}
