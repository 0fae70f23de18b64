import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.AckCallback;
import org.apache.rocketmq.client.consumer.AckResult;
import org.apache.rocketmq.client.consumer.AckStatus;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PopCallback;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.consumer.PopStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.impl.ClientRemotingProcessor;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.protocol.header.AckMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ChangeInvisibleTimeRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;

/**
 * Consumers that pop, with the unmodified client. Usage: PopClient push|raw|raworder namesrv topic group count broker
 * push: a push consumer without client rebalance; each tenth message fails the first time.
 * raw: the client's own API: pop, ack, change invisible time.
 */
public class PopClient {
    public static void main(String[] a) throws Exception {
        String ns = a[1], topic = a[2], group = a[3], broker = a[5];
        int count = Integer.parseInt(a[4]);
        DefaultMQProducer p = Result.patient(new DefaultMQProducer(group + "_p"));
        p.setNamesrvAddr(ns);
        p.start();
        for (int i = 0; i < count; i++) p.send(new Message(topic, "TagA", ("body-" + i).getBytes(StandardCharsets.UTF_8)));
        p.shutdown();
        switch (a[0]) {
            case "push": push(ns, topic, group, count); break;
            default: raw(topic, group, count, broker, a[0].equals("raworder"));
        }
        System.exit(0);
    }

    static void push(String ns, String topic, String group, int count) throws Exception {
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group));
        c.setNamesrvAddr(ns);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setClientRebalance(false);
        c.setPopInvisibleTime(60_000);
        c.subscribe(topic, "*");
        Map<String, AtomicInteger> done = new ConcurrentHashMap<>();
        Set<String> failed = ConcurrentHashMap.newKeySet();
        AtomicInteger handles = new AtomicInteger(), again = new AtomicInteger(), wrongTopic = new AtomicInteger();
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                String body = new String(m.getBody(), StandardCharsets.UTF_8);
                if (m.getProperty(MessageConst.PROPERTY_POP_CK) != null) handles.incrementAndGet();
                if (!m.getTopic().equals(topic)) wrongTopic.incrementAndGet();
                if (Integer.parseInt(body.substring(5)) % 10 == 0 && failed.add(body)) return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                if (failed.contains(body) && m.getReconsumeTimes() > 0) again.incrementAndGet();
                done.computeIfAbsent(body, k -> new AtomicInteger()).incrementAndGet();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        long end = System.currentTimeMillis() + 60_000;
        while (System.currentTimeMillis() < end && done.size() < count) Thread.sleep(50);
        Thread.sleep(3000); // what comes twice
        int total = done.values().stream().mapToInt(AtomicInteger::get).sum();
        c.shutdown();
        System.out.println("{\"action\":\"push\",\"got\":" + done.size() + ",\"deliveries\":" + total + ",\"popped\":" + (handles.get() >= count) +
            ",\"again\":" + again.get() + ",\"wrongTopic\":" + wrongTopic.get() + "}");
    }

    static void raw(String topic, String group, int count, String broker, boolean order) throws Exception {
        MQClientAPIImpl api = new MQClientAPIImpl(new NettyClientConfig(), new ClientRemotingProcessor(null), null, new ClientConfig());
        api.start();
        Set<String> got = ConcurrentHashMap.newKeySet();
        int deliveries = 0, changed = 0, acks = 0;
        long end = System.currentTimeMillis() + 60_000;
        MessageExt hidden = null;
        String hiddenHandle = null;
        while (got.size() < count && System.currentTimeMillis() < end) {
            PopResult r = pop(api, topic, group, broker, 30_000, order);
            if (r.getPopStatus() != PopStatus.FOUND) continue;
            for (MessageExt m : r.getMsgFoundList()) {
                deliveries++;
                got.add(new String(m.getBody(), StandardCharsets.UTF_8));
                String ck = m.getProperty(MessageConst.PROPERTY_POP_CK);
                if (hidden == null && !order) { // this one gets more time, and is acknowledged with its new handle
                    AckResult c = change(api, topic, group, broker, m, ck, 40_000);
                    if (c.getStatus() == AckStatus.OK) changed++;
                    hidden = m;
                    hiddenHandle = c.getExtraInfo();
                    continue;
                }
                if (ack(api, topic, group, broker, m, ck).getStatus() == AckStatus.OK) acks++;
            }
        }
        if (hidden != null && ack(api, topic, group, broker, hidden, hiddenHandle).getStatus() == AckStatus.OK) acks++;
        PopResult rest = pop(api, topic, group, broker, 1000, order);
        System.out.println("{\"action\":\"raw\",\"got\":" + got.size() + ",\"deliveries\":" + deliveries + ",\"changed\":" + changed + ",\"acks\":" + acks +
            ",\"rest\":\"" + rest.getPopStatus() + "\"}");
    }

    static PopResult pop(MQClientAPIImpl api, String topic, String group, String broker, long invisible, boolean order) throws Exception {
        PopMessageRequestHeader h = new PopMessageRequestHeader();
        h.setConsumerGroup(group);
        h.setTopic(topic);
        h.setQueueId(-1);
        h.setMaxMsgNums(16);
        h.setInvisibleTime(invisible);
        h.setInitMode(0);
        h.setExpType("TAG");
        h.setExp("*");
        h.setPollTime(1500);
        h.setBornTime(System.currentTimeMillis());
        h.setOrder(order);
        CompletableFuture<PopResult> f = new CompletableFuture<>();
        api.popMessageAsync("broker-a", broker, h, 10_000, new PopCallback() {
            public void onSuccess(PopResult r) { f.complete(r); }
            public void onException(Throwable e) { f.completeExceptionally(e); }
        });
        return f.get(15, TimeUnit.SECONDS);
    }

    static AckResult ack(MQClientAPIImpl api, String topic, String group, String broker, MessageExt m, String ck) throws Exception {
        String[] info = ExtraInfoUtil.split(ck);
        AckMessageRequestHeader h = new AckMessageRequestHeader();
        h.setTopic(ExtraInfoUtil.getRealTopic(info, topic, group));
        h.setQueueId(ExtraInfoUtil.getQueueId(info));
        h.setOffset(ExtraInfoUtil.getQueueOffset(info));
        h.setConsumerGroup(group);
        h.setExtraInfo(ck);
        CompletableFuture<AckResult> f = new CompletableFuture<>();
        api.ackMessageAsync(broker, 10_000, callback(f), h);
        return f.get(15, TimeUnit.SECONDS);
    }

    static AckResult change(MQClientAPIImpl api, String topic, String group, String broker, MessageExt m, String ck, long invisible) throws Exception {
        String[] info = ExtraInfoUtil.split(ck);
        ChangeInvisibleTimeRequestHeader h = new ChangeInvisibleTimeRequestHeader();
        h.setTopic(ExtraInfoUtil.getRealTopic(info, topic, group));
        h.setQueueId(ExtraInfoUtil.getQueueId(info));
        h.setOffset(ExtraInfoUtil.getQueueOffset(info));
        h.setConsumerGroup(group);
        h.setExtraInfo(ck);
        h.setInvisibleTime(invisible);
        CompletableFuture<AckResult> f = new CompletableFuture<>();
        api.changeInvisibleTimeAsync("broker-a", broker, h, 10_000, callback(f));
        return f.get(15, TimeUnit.SECONDS);
    }

    static AckCallback callback(CompletableFuture<AckResult> f) {
        return new AckCallback() {
            public void onSuccess(AckResult r) { f.complete(r); }
            public void onException(Throwable e) { f.completeExceptionally(e); }
        };
    }
}
