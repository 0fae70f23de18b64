import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Consumers that fail, that share queues in order, that hear everything, and that leave traces.
 * Usage: Retry ACTION namesrv topic group count limit
 */
public class Retry {
    static final int QUEUES = 4; // of a topic that is broadcast
    static final Map<String, Object> out = new TreeMap<>();
    static final AtomicLong last = new AtomicLong(System.currentTimeMillis());

    public static void main(String[] a) throws Exception {
        String action = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]), limit = Integer.parseInt(a[5]);
        out.put("action", action);
        switch (action) {
            case "fail": fail(ns, topic, group, count, limit); break;
            case "suspend": suspend(ns, topic, group, count, limit); break;
            case "dead": dead(ns, topic, group, count, limit); break;
            case "broadcast": broadcast(ns, topic, group, count, limit); break;
            case "order": order(ns, topic, group, count, limit); break;
            case "trace": trace(ns, topic, group, count); break;
            default: throw new IllegalArgumentException(action);
        }
        Result.print(out);
        System.exit(0);
    }

    static DefaultMQPushConsumer consumer(String ns, String topic, String group, boolean trace) throws Exception {
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer(group, trace, null));
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "*");
        return c;
    }

    static String body(MessageExt m) { return new String(m.getBody(), StandardCharsets.UTF_8); }

    /** Returns when nothing has been delivered for a while, after at least n deliveries. */
    static void quiet(AtomicInteger got, int n, long ms) throws Exception {
        long end = System.currentTimeMillis() + 60000;
        while (System.currentTimeMillis() < end && (got.get() < n || System.currentTimeMillis() - last.get() < ms)) Thread.sleep(50);
    }

    /** Notes one delivery: the n-th time that a message comes it says that it was tried n times before. */
    static void tried(MessageExt m, String topic, Map<String, Integer> seen, AtomicInteger got, AtomicInteger wrong) {
        last.set(System.currentTimeMillis());
        got.incrementAndGet();
        int n = seen.merge(body(m), 1, Integer::sum) - 1;
        if (m.getReconsumeTimes() != n || !m.getTopic().equals(topic)) {
            wrong.incrementAndGet();
            out.put("wrongAt", body(m) + " " + m.getTopic() + " delivery " + n + " says " + m.getReconsumeTimes());
        }
    }

    /** How a consumer is made to fail: it must hand each message to heard. */
    interface Failing { void listen(DefaultMQPushConsumer c, Consumer<List<MessageExt>> heard); }

    static void fail(String ns, String topic, String group, int count, int limit) throws Exception {
        failing(ns, topic, group, count, limit, (c, heard) -> c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            heard.accept(msgs);
            ctx.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        }));
    }

    static void suspend(String ns, String topic, String group, int count, int limit) throws Exception {
        failing(ns, topic, group, count, limit, (c, heard) -> c.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
            heard.accept(msgs);
            ctx.setSuspendCurrentQueueTimeMillis(50);
            return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
        }));
    }

    static void failing(String ns, String topic, String group, int count, int limit, Failing how) throws Exception {
        DefaultMQPushConsumer c = consumer(ns, topic, group, false);
        c.setMaxReconsumeTimes(limit);
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        AtomicInteger got = new AtomicInteger(), wrong = new AtomicInteger();
        how.listen(c, msgs -> {
            for (MessageExt m : msgs) tried(m, topic, seen, got, wrong);
        });
        c.start();
        quiet(got, count * (limit + 1), 3000);
        c.shutdown();
        out.put("got", got.get());
        out.put("distinct", seen.size());
        out.put("wrong", wrong.get());
    }

    /** Consumes the dead letters of a group; limit is how often each must have been tried, -1: not looked at. */
    static void dead(String ns, String topic, String group, int count, int limit) throws Exception {
        DefaultMQPushConsumer c = consumer(ns, "%DLQ%" + group, group + "_dead", false);
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        AtomicInteger got = new AtomicInteger(), wrong = new AtomicInteger();
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                last.set(System.currentTimeMillis());
                got.incrementAndGet();
                seen.merge(body(m), 1, Integer::sum);
                String id = m.getProperty("ORIGIN_MESSAGE_ID");
                if (limit >= 0 && m.getReconsumeTimes() != limit || !topic.equals(m.getProperty("RETRY_TOPIC")) || id == null || id.isEmpty()) {
                    wrong.incrementAndGet();
                    out.put("wrongAt", m.toString());
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        quiet(got, count, 1500);
        c.shutdown();
        out.put("got", got.get());
        out.put("distinct", seen.size());
        out.put("wrong", wrong.get());
    }

    /** limit consumers of one group hear everything, each of them; what fails is not given back. */
    static void broadcast(String ns, String topic, String group, int count, int limit) throws Exception {
        AtomicInteger got = new AtomicInteger();
        List<DefaultMQPushConsumer> all = new ArrayList<>();
        List<Set<String>> heard = new ArrayList<>();
        for (int i = 0; i < limit; i++) {
            DefaultMQPushConsumer c = consumer(ns, topic, group, false);
            // The enum has another package in each version.
            Class<?> model = DefaultMQPushConsumer.class.getMethod("getMessageModel").getReturnType();
            for (Object v : model.getEnumConstants())
                if (v.toString().equals("BROADCASTING")) DefaultMQPushConsumer.class.getMethod("setMessageModel", model).invoke(c, v);
            Set<String> mine = Collections.newSetFromMap(new ConcurrentHashMap<>());
            heard.add(mine);
            c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
                for (MessageExt m : msgs) {
                    last.set(System.currentTimeMillis());
                    got.incrementAndGet();
                    mine.add(body(m));
                }
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            });
            c.start();
            all.add(c);
        }
        DefaultMQProducer p = PeerClient.producer(ns, group + "_p");
        // A broadcasting consumer without a file of offsets begins at the end of each queue.
        for (DefaultMQPushConsumer c : all)
            while (c.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().size() < QUEUES) Thread.sleep(20);
        for (int i = 0; i < count; i++) p.send(PeerClient.message(topic, i));
        quiet(got, count * limit, 2500);
        for (DefaultMQPushConsumer c : all) c.shutdown();
        p.shutdown();
        out.put("got", got.get());
        int least = count;
        for (Set<String> s : heard) least = Math.min(least, s.size());
        out.put("least", least);
    }

    /**
     * limit orderly consumers join and leave while numbers are sent to four shards. skipped: a number came before the one ahead of it
     * had. shared: two consumers had messages of a shard at the same time.
     */
    static void order(String ns, String topic, String group, int count, int limit) throws Exception {
        Map<String, Integer> next = new ConcurrentHashMap<>();
        Map<String, AtomicInteger> inside = new ConcurrentHashMap<>();
        AtomicInteger got = new AtomicInteger(), skipped = new AtomicInteger(), shared = new AtomicInteger(), again = new AtomicInteger();
        DefaultMQProducer p = PeerClient.producer(ns, group + "_p");
        Thread sender = new Thread(() -> {
            try {
                for (int i = 0; i < count; i++) {
                    int shard = i % 4;
                    Message m = new Message(topic, "T", "k" + i, (shard + ":" + i / 4).getBytes(StandardCharsets.UTF_8));
                    p.send(m, (qs, msg, arg) -> qs.get((Integer) arg % qs.size()), shard);
                    if (i % 20 == 0) Thread.sleep(20);
                }
            } catch (Exception e) { out.put("error", e.toString()); }
        });
        sender.start();
        List<DefaultMQPushConsumer> all = new ArrayList<>();
        Random r = new Random(1);
        long end = System.currentTimeMillis() + 180_000, churn = System.currentTimeMillis() + 12000;
        while (System.currentTimeMillis() < end) {
            int sum = 0;
            for (int n : next.values()) sum += n;
            if (sum >= count && System.currentTimeMillis() > churn) break;
            boolean settle = System.currentTimeMillis() > churn;
            if (all.size() < limit && (settle ? all.isEmpty() : r.nextInt(3) > 0)) {
                DefaultMQPushConsumer c = consumer(ns, topic, group, false);
                c.setConsumeMessageBatchMaxSize(1 + r.nextInt(3));
                c.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
                    for (MessageExt m : msgs) {
                        String[] s = body(m).split(":");
                        AtomicInteger in = inside.computeIfAbsent(s[0], k -> new AtomicInteger());
                        if (in.incrementAndGet() > 1) shared.incrementAndGet();
                        int n = Integer.parseInt(s[1]), want = next.getOrDefault(s[0], 0);
                        if (n > want) skipped.incrementAndGet();
                        if (n < want) again.incrementAndGet();
                        next.put(s[0], Math.max(want, n + 1));
                        got.incrementAndGet();
                        Thread.yield();
                        in.decrementAndGet();
                    }
                    return ConsumeOrderlyStatus.SUCCESS;
                });
                c.start();
                all.add(c);
            } else if (!settle && !all.isEmpty()) {
                all.remove(r.nextInt(all.size())).shutdown();
            }
            Thread.sleep(settle ? 200 : 300 + r.nextInt(400));
        }
        sender.join();
        for (DefaultMQPushConsumer c : all) c.shutdown();
        p.shutdown();
        int sum = 0;
        for (int n : next.values()) sum += n;
        out.put("distinct", sum);
        out.put("got", got.get());
        out.put("again", again.get());
        out.put("skipped", skipped.get());
        out.put("shared", shared.get());
    }

    /** A producer and a consumer leave traces, which are read and parsed with the client's own parser. */
    static void trace(String ns, String topic, String group, int count) throws Exception {
        DefaultMQProducer p = Result.patient(new DefaultMQProducer(group + "_p", true, null));
        p.setNamesrvAddr(ns);
        p.setInstanceName("p" + System.nanoTime());
        p.start();
        for (int i = 0; i < count; i++) p.send(PeerClient.message(topic, i));
        AtomicInteger got = new AtomicInteger();
        DefaultMQPushConsumer c = consumer(ns, topic, group, true);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            got.addAndGet(msgs.size());
            last.set(System.currentTimeMillis());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        quiet(got, count, 500);
        Map<String, Integer> kinds = new ConcurrentHashMap<>();
        AtomicInteger beans = new AtomicInteger(), wrong = new AtomicInteger();
        DefaultMQPushConsumer t = consumer(ns, "RMQ_SYS_TRACE_TOPIC", group + "_t", false);
        t.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) for (TraceContext x : TraceDataEncoder.decoderFromTraceDataString(body(m))) {
                for (TraceBean b : x.getTraceBeans()) {
                    last.set(System.currentTimeMillis());
                    beans.incrementAndGet();
                    kinds.merge(x.getTraceType().name(), 1, Integer::sum);
                    if (b.getMsgId() == null || b.getMsgId().isEmpty() || !m.getKeys().contains(b.getMsgId())) wrong.incrementAndGet();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        t.start();
        quiet(beans, 3 * count, 1500);
        c.shutdown();
        p.shutdown();
        t.shutdown();
        out.put("got", got.get());
        out.put("Pub", kinds.getOrDefault("Pub", 0));
        out.put("SubBefore", kinds.getOrDefault("SubBefore", 0));
        out.put("SubAfter", kinds.getOrDefault("SubAfter", 0));
        out.put("wrong", wrong.get());
    }
}
