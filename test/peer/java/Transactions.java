import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * An ordinary transactional application. Usage: Transactions ACTION namesrv topic group count
 * decide: of count messages a third is committed, a third rolled back, a third left unknown until the broker asks; then every
 * other one of these is committed. leave: all stay unknown, the program ends. answer: commits what it is asked about, every
 * other one, until it was asked about count messages.
 */
public class Transactions {
    public static void main(String[] a) throws Exception {
        final String action = a[0];
        final String topic = a[2];
        final int count = Integer.parseInt(a[4]);
        final Set<Integer> asked = ConcurrentHashMap.newKeySet();
        final Set<String> wrong = ConcurrentHashMap.newKeySet();
        TransactionMQProducer p = Result.patient(new TransactionMQProducer(a[3]));
        p.setNamesrvAddr(a[1]);
        p.setInstanceName("tx" + System.nanoTime());
        p.setTransactionListener(new TransactionListener() {
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                int i = (Integer) arg;
                if (action.equals("leave") || i % 3 == 2) return LocalTransactionState.UNKNOW;
                return i % 3 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                if (action.equals("leave")) return LocalTransactionState.UNKNOW;
                int i = Integer.parseInt(new String(m.getBody(), StandardCharsets.UTF_8).substring(5));
                if (!m.getTopic().equals(topic) || !("key" + i).equals(m.getKeys()) || m.getTransactionId() == null) wrong.add(m.toString());
                if (action.equals("decide") && i % 3 != 2) wrong.add("asked about the decided " + i);
                asked.add(i);
                return i % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        p.start();
        int ok = 0;
        if (!action.equals("answer")) {
            for (int i = 0; i < count; i++) {
                Message m = new Message(topic, "TagA", "key" + i, ("body-" + i).getBytes(StandardCharsets.UTF_8));
                SendResult r = p.sendMessageInTransaction(m, i);
                if (r.getSendStatus() == SendStatus.SEND_OK) ok++;
            }
        } else {
            p.getDefaultMQProducerImpl().getmQClientFactory().updateTopicRouteInfoFromNameServer(topic);
        }
        int expect = action.equals("leave") ? 0 : action.equals("decide") ? count / 3 : count;
        for (int k = 0; k < 600 && asked.size() < expect; k++) {
            if (action.equals("answer") && k % 10 == 0) p.getDefaultMQProducerImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
            Thread.sleep(100);
        }
        Thread.sleep(500);
        p.shutdown();
        System.out.println("{\"action\":\"" + action + "\",\"ok\":" + ok + ",\"asked\":" + asked.size() + ",\"wrong\":\""
            + String.join("; ", wrong).replace("\"", "'").replace("\\", "") + "\"}");
        System.exit(0);
    }
}
