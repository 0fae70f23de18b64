import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.srvutil.ServerUtil;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.SubCommand;
import org.apache.rocketmq.tools.command.topic.RemappingStaticTopicSubCommand;
import org.apache.rocketmq.tools.command.topic.UpdateStaticTopicSubCommand;

/**
 * Makes a static topic with mqadmin's commands, and moves its queues from one set of brokers to the next while a producer and a
 * consumer go on: StaticTopic nameserver topic count brokers..., where brokers are names with commas. Before each move, and after
 * the last one, count messages go to each queue. At the end another group reads everything once more.
 */
public class StaticTopic {
    static final int QUEUES = 3;
    static String ns, topic;
    static DefaultMQProducer producer;
    static final Map<String, Object> out = new LinkedHashMap<>();

    /** Runs a command of mqadmin, or of the program cometmq.admin, which has the same ones. */
    static void admin(SubCommand c, String... args) throws Exception {
        String program = System.getProperty("cometmq.admin");
        if (program != null) {
            List<String> line = new ArrayList<>(List.of(program, "admin", c.commandName()));
            line.addAll(List.of(args));
            ProcessBuilder b = new ProcessBuilder(line).inheritIO();
            b.environment().put("NAMESRV_ADDR", ns);
            b.environment().put("TMPDIR", System.getProperty("user.home"));
            int code = b.start().waitFor();
            if (code != 0) throw new IllegalStateException(line + " ended with code " + code);
            return;
        }
        Options o = c.buildCommandlineOptions(ServerUtil.buildCommandlineOptions(new Options()));
        c.execute(new DefaultParser().parse(o, args), o, null);
    }

    /** What one consumer saw of each logical queue, in the order in which it came. */
    static class Seen {
        final Map<Integer, List<String>> bodies = new ConcurrentHashMap<>();
        final Map<Integer, Long> last = new ConcurrentHashMap<>();
        volatile int backwards;
        DefaultMQPushConsumer consumer;

        void start(String group) throws Exception {
            consumer = Result.patient(new DefaultMQPushConsumer(group));
            consumer.setNamesrvAddr(ns);
            consumer.setPollNameServerInterval(500);
            consumer.setInstanceName(group);
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
                for (MessageExt m : msgs) {
                    bodies.computeIfAbsent(m.getQueueId(), k -> new ArrayList<>()).add(new String(m.getBody(), StandardCharsets.UTF_8));
                    Long before = last.put(m.getQueueId(), m.getQueueOffset());
                    if (before != null && before >= m.getQueueOffset()) backwards++;
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.getDefaultMQPushConsumerImpl().setPullTimeDelayMillsWhenException(300);
            consumer.start();
        }

        int total() {
            int n = 0;
            for (List<String> l : bodies.values()) n += l.size();
            return n;
        }

        void await(int want, String what) throws Exception {
            for (long end = System.currentTimeMillis() + 40_000; total() < want && System.currentTimeMillis() < end; ) Thread.sleep(20);
            Thread.sleep(300); // what comes twice
            consumer.shutdown();
            int wrong = 0;
            TreeMap<Integer, Integer> counts = new TreeMap<>();
            for (Map.Entry<Integer, List<String>> e : bodies.entrySet()) {
                counts.put(e.getKey(), e.getValue().size());
                for (int i = 0; i < e.getValue().size(); i++) {
                    if (!e.getValue().get(i).equals(e.getKey() + "-" + i)) wrong++;
                }
            }
            out.put(what, total());
            out.put(what + "_wrong", wrong + backwards);
            out.put(what + "_counts", counts.toString());
        }
    }

    static int refused;

    /** Sends to a logical queue until it is stored: after a move the producer must hear of the new leader first. */
    static void send(int queue, int n) throws Exception {
        Message m = new Message(topic, (queue + "-" + n).getBytes(StandardCharsets.UTF_8));
        Exception why = null;
        for (long end = System.currentTimeMillis() + 20_000; System.currentTimeMillis() < end; Thread.sleep(50)) {
            try {
                SendResult r = producer.send(m, (mqs, msg, arg) -> {
                    for (MessageQueue q : mqs) if (q.getQueueId() == queue) return q;
                    throw new IllegalStateException("no queue " + queue + " in " + mqs);
                }, null);
                if (r.getMessageQueue().getQueueId() != queue) throw new IllegalStateException("stored in " + r.getMessageQueue());
                return;
            } catch (Exception e) {
                why = e;
                refused++;
            }
        }
        throw why;
    }

    public static void main(String[] a) throws Exception {
        ns = a[0];
        topic = a[1];
        int count = Integer.parseInt(a[2]);
        System.setProperty("rocketmq.namesrv.addr", ns);
        System.setProperty("java.io.tmpdir", System.getProperty("user.home"));
        System.setProperty("rocketmq.home.dir", System.getProperty("user.home"));
        admin(new UpdateStaticTopicSubCommand(), "-t", topic, "-qn", String.valueOf(QUEUES), "-b", a[3]);

        producer = Result.patient(new DefaultMQProducer("static_producer"));
        producer.setNamesrvAddr(ns);
        producer.setPollNameServerInterval(500);
        producer.start();
        Seen live = new Seen();
        live.start("static_live");
        int sent = 0;
        for (int phase = 3; phase < a.length; phase++) {
            if (phase > 3) admin(new RemappingStaticTopicSubCommand(), "-t", topic, "-b", a[phase]);
            for (int i = 0; i < count; i++, sent++) {
                for (int q = 0; q < QUEUES; q++) send(q, sent);
            }
        }
        out.put("action", "static");
        out.put("sent", sent * QUEUES);
        out.put("queues", producer.fetchPublishMessageQueues(topic).size());
        live.await(sent * QUEUES, "live");
        Seen again = new Seen();
        again.start("static_again");
        again.await(sent * QUEUES, "again");
        out.put("refused", refused);
        DefaultMQAdminExt tool = new DefaultMQAdminExt(30_000);
        tool.start();
        long end = 0, begin = 0;
        int logical = 0;
        for (Map.Entry<MessageQueue, TopicOffset> e : tool.examineTopicStats(topic).getOffsetTable().entrySet()) {
            if (!e.getKey().getBrokerName().startsWith("__syslo__")) continue;
            logical++;
            begin += e.getValue().getMinOffset();
            end += e.getValue().getMaxOffset() % 10000; // Java's tool lets each part begin at a multiple
        }
        out.put("stats_queues", logical);
        out.put("stats_begin", begin);
        out.put("stats_end", end);
        out.put("progress_queues", tool.examineConsumeStats("static_again", topic).getOffsetTable().size());
        tool.shutdown();
        producer.shutdown();
        Result.print(out);
        System.exit(0);
    }
}
