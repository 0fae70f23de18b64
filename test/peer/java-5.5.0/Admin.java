import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.logging.org.slf4j.LoggerFactory;
import org.apache.rocketmq.srvutil.ServerUtil;
import org.apache.rocketmq.tools.command.MQAdminStartup;
import org.apache.rocketmq.tools.command.SubCommand;

/**
 * Runs subcommands of the unmodified mqadmin in one JVM, as MQAdminStartup.main0 does. Usage: Admin namesrv script. A line of the script
 * is the arguments of one subcommand with a tab between; @ID@, @OFFSETID@, @QUEUE@ and @CLIENT@ stand for a message that was sent and a
 * consumer that is connected. An empty line waits for all before it: nearly all of the time of a command is a pause of 3 s when it ends,
 * so they run side by side. For each command there is one line: its number, how long it took in ms, what it printed to both streams in
 * base64, and whether it was still running after a while.
 */
public class Admin {
    static final PrintStream OUT = System.out;
    static final InheritableThreadLocal<ByteArrayOutputStream[]> STREAMS = new InheritableThreadLocal<>();

    /** A stream of which each command, with the threads that it starts, has its own. */
    static class Split extends java.io.OutputStream {
        final int which;

        Split(int which) {
            this.which = which;
        }

        @Override
        public void write(int b) {
            ByteArrayOutputStream[] s = STREAMS.get();
            if (s != null) {
                s[which].write(b);
            }
        }
    }

    static DefaultMQProducer producer;
    static DefaultMQPushConsumer consumer;
    static String id = "", offsetId = "", queue = "0", client = "";

    public static void main(String[] a) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", a[0]);
        LoggerFactory.getLogger(Admin.class); // it says much when it is made
        System.setOut(new PrintStream(new Split(0), true, "UTF-8"));
        System.setErr(new PrintStream(new Split(1), true, "UTF-8"));
        MQAdminStartup.initCommand();
        Method find = MQAdminStartup.class.getDeclaredMethod("findSubCommand", String.class);
        find.setAccessible(true);
        List<Thread> running = new ArrayList<>();
        int n = 0;
        for (String line : Files.readAllLines(Paths.get(a[1]))) {
            if (line.isEmpty() || line.startsWith("!")) {
                for (Thread t : running) {
                    t.join();
                }
                running.clear();
            }
            if (line.equals("!clients")) {
                clients(a[0]);
            } else if (line.equals("!settle")) {
                Thread.sleep(1500); // until what was sent is consumed
                consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            } else if (line.equals("!leave")) {
                consumer.shutdown();
                producer.shutdown();
            } else if (!line.isEmpty()) {
                final int number = n++;
                String[] args = line.replace("@ID@", id).replace("@OFFSETID@", offsetId).replace("@QUEUE@", queue).replace("@CLIENT@", client).split("\t");
                SubCommand found = (SubCommand) find.invoke(null, args[0]);
                Thread t = new Thread(() -> limited(number, found, args));
                t.start();
                running.add(t);
                Thread.sleep(40); // the tools name themselves by the time in ms
            }
        }
        for (Thread t : running) {
            t.join();
        }
        OUT.flush();
        Runtime.getRuntime().halt(0);
    }

    static void limited(int number, SubCommand found, String[] args) {
        ByteArrayOutputStream[] streams = {new ByteArrayOutputStream(), new ByteArrayOutputStream()};
        STREAMS.set(streams);
        long start = System.currentTimeMillis();
        String note = "";
        try {
            for (int again = 0; again < 5; again++) {
                Thread t = new Thread(() -> run(found, args));
                t.setDaemon(true);
                t.start();
                t.join(args[0].equals("clusterRT") ? 4000 : 60000);
                if (t.isAlive()) {
                    note = "goes on";
                    t.interrupt();
                }
                String err = streams[1].toString();
                // Two had the same name, or the machine is so busy that the consumer has lost its connection for a while.
                if (!err.contains("specified another name") && !err.contains("RemotingTimeoutException") && !err.contains(": EOF")
                    && !err.contains("not online")) {
                    break;
                }
                streams[0].reset();
                streams[1].reset();
                Thread.sleep(1000 + number * 7);
            }
        } catch (InterruptedException e) {
            note = "interrupted";
        }
        synchronized (OUT) {
            OUT.println("#" + number + "\t" + (System.currentTimeMillis() - start) + "\t" + encode(streams[0]) + "\t" + encode(streams[1]) + "\t" + note);
        }
    }

    /** What main0 does, but a wrong argument does not end the JVM. */
    static void run(SubCommand found, String[] args) {
        try {
            SubCommand cmd = found.getClass().getDeclaredConstructor().newInstance(); // some can be used once only
            Options options = ServerUtil.buildCommandlineOptions(new Options());
            CommandLine line = new DefaultParser().parse(cmd.buildCommandlineOptions(options), Arrays.copyOfRange(args, 1, args.length));
            cmd.execute(line, options, null);
        } catch (Throwable e) {
            e.printStackTrace();
        }
    }

    static void clients(String namesrv) throws Exception {
        producer = Result.patient(new DefaultMQProducer("PG"));
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("sending");
        producer.start();
        SendResult r = producer.send(new Message("T1", "TagA", "K0", "hello".getBytes()), (queues, m, x) -> queues.get(0), null);
        id = r.getMsgId();
        offsetId = r.getOffsetMsgId();
        queue = "" + r.getMessageQueue().getQueueId();
        consumer = Result.patient(new DefaultMQPushConsumer("G1"));
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("listening");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setHeartbeatBrokerInterval(1000);
        consumer.subscribe("T1", "*");
        List<String> seen = new ArrayList<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (ms, c) -> {
            synchronized (seen) {
                seen.add(ms.get(0).getMsgId());
                seen.notifyAll();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        synchronized (seen) {
            for (long end = System.currentTimeMillis() + 30000; seen.isEmpty() && System.currentTimeMillis() < end; ) {
                seen.wait(100);
            }
        }
        client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
    }

    static String encode(ByteArrayOutputStream b) {
        return Base64.getEncoder().encodeToString(b.toByteArray());
    }
}
