import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.body.AclInfo;
import org.apache.rocketmq.remoting.protocol.body.UserInfo;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Users and policies made with Java's admin client, and unmodified clients that sign. Usage: Signed namesrv broker, where root with the
 * secret root-secret is a super user. Topics orders and pay must be there.
 */
public class Signed {
    static final Map<String, Object> out = new TreeMap<>();
    static String ns;

    static RPCHook as(String user, String secret) {
        return new AclClientRPCHook(new SessionCredentials(user, secret));
    }

    interface Step { void run() throws Exception; }

    /** What a step is answered: ok, or code and text. */
    static void say(String name, Step step) {
        String what = "ok";
        try {
            step.run();
        } catch (Throwable e) {
            what = e.toString();
            for (Throwable c = e; c != null; c = c.getCause()) {
                if (c instanceof MQBrokerException) {
                    what = ((MQBrokerException) c).getResponseCode() + " " + ((MQBrokerException) c).getErrorMessage();
                    break;
                }
            }
        }
        out.put(name, what);
    }

    public static void main(String[] a) throws Exception {
        ns = a[0];
        String broker = a[1];
        DefaultMQAdminExt admin = new DefaultMQAdminExt(as("root", "root-secret"), 30_000);
        admin.setNamesrvAddr(ns);
        admin.setInstanceName("admin" + System.nanoTime());
        admin.start();
        say("createUser", () -> admin.createUser(broker, "alice", "of-alice", "Normal"));
        say("createAgain", () -> admin.createUser(broker, "alice", "of-alice", "Normal"));
        say("createWithoutPassword", () -> admin.createUser(broker, "bob", "", "Normal"));
        List<String> pubSub = Arrays.asList("Pub", "Sub");
        say("createAcl", () -> admin.createAcl(broker, "User:alice", Arrays.asList("Topic:orders*", "Group:g_*"), pubSub, Collections.emptyList(), "Allow"));
        say("denyAcl", () -> admin.createAcl(broker, "User:alice", Arrays.asList("Topic:pay"), pubSub, Arrays.asList("127.0.0.0/8"), "Deny"));
        say("badAcl", () -> admin.createAcl(broker, "User:alice", Arrays.asList("Topic:x"), pubSub, Arrays.asList("10.0.0.0/99"), "Deny"));
        say("aclOfNobody", () -> admin.createAcl(broker, "User:nobody", Arrays.asList("Topic:x"), pubSub, Collections.emptyList(), "Deny"));
        say("getUser", () -> {
            UserInfo u = admin.getUser(broker, "alice");
            out.put("user", u.getUsername() + " " + u.getUserType() + " " + u.getUserStatus());
        });
        say("getAcl", () -> {
            AclInfo acl = admin.getAcl(broker, "User:alice");
            StringBuilder b = new StringBuilder(acl.getSubject());
            acl.getPolicies().forEach(p -> p.getEntries().forEach(e ->
                b.append(" | ").append(p.getPolicyType()).append(" ").append(e.getResource()).append(" ").append(e.getActions()).append(" ")
                    .append(e.getSourceIps() == null ? "[]" : e.getSourceIps()).append(" ").append(e.getDecision())));
            out.put("acl", b.toString());
        });
        say("listUser", () -> out.put("users", admin.listUser(broker, "ali").size()));
        say("listAcl", () -> out.put("acls", admin.listAcl(broker, "", "pay").get(0).getPolicies().get(0).getEntries().size()));

        send("produce", as("alice", "of-alice"), "orders", 20);
        consume();
        send("wrongSecret", as("alice", "guess"), "orders", 1);
        send("unknownUser", as("carol", "guess"), "orders", 1);
        send("noSignature", null, "orders", 1);
        send("denied", as("alice", "of-alice"), "pay", 1);
        send("noRule", as("alice", "of-alice"), "other", 1);
        DefaultMQAdminExt low = new DefaultMQAdminExt(as("alice", "of-alice"), 30_000);
        low.setNamesrvAddr(ns);
        low.setInstanceName("low" + System.nanoTime());
        low.start();
        say("notAllowed", () -> low.createUser(broker, "eve", "x", "Super"));
        say("deleteRule", () -> admin.deleteAcl(broker, "User:alice", "Topic:pay"));
        say("disable", () -> admin.updateUser(broker, "alice", "of-alice", "Normal", "disable"));
        send("disabled", as("alice", "of-alice"), "orders", 1);
        say("deleteUser", () -> admin.deleteUser(broker, "alice"));
        send("deleted", as("alice", "of-alice"), "orders", 1);
        low.shutdown();
        admin.shutdown();
        Result.print(out);
        System.exit(0);
    }

    static void send(String name, RPCHook hook, String topic, int count) {
        say(name, () -> {
            DefaultMQProducer p = Result.patient(new DefaultMQProducer("g_producer", hook));
            p.setNamesrvAddr(ns);
            p.setInstanceName("p" + System.nanoTime());
            p.setRetryTimesWhenSendFailed(0);
            p.start();
            try {
                for (int i = 0; i < count; i++) {
                    p.send(new Message(topic, ("body-" + i).getBytes(StandardCharsets.UTF_8)));
                }
            } finally {
                p.shutdown();
            }
        });
    }

    static void consume() throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        CountDownLatch done = new CountDownLatch(20);
        DefaultMQPushConsumer c = Result.patient(new DefaultMQPushConsumer("g_consumer", as("alice", "of-alice")));
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe("orders", "*");
        c.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            for (MessageExt m : list) {
                if (seen.add(m.getMsgId())) {
                    done.countDown();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        done.await(60, TimeUnit.SECONDS);
        c.shutdown();
        out.put("consumed", seen.size());
    }
}
