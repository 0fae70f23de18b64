import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Sends messages with the priorities 0 to 5 and says into which queues they went. Usage: Priority namesrv topic */
public class Priority {
    public static void main(String[] a) throws Exception {
        DefaultMQProducer p = Result.patient(new DefaultMQProducer("priority_p"));
        p.setNamesrvAddr(a[0]);
        p.start();
        StringBuilder queues = new StringBuilder();
        for (int i = 0; i < 6; i++) {
            Message m = new Message(a[1], ("p" + i).getBytes());
            m.setPriority(i);
            SendResult r = p.send(m);
            queues.append(r.getMessageQueue().getQueueId()).append(' ');
        }
        p.shutdown();
        Map<String, Object> out = new TreeMap<>();
        out.put("queues", queues.toString().trim());
        Result.print(out);
        System.exit(0);
    }
}
