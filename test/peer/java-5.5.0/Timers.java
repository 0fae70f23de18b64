import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Messages with a time of their own, and recalls, with the unmodified client.
 * Usage: Timers send|consume|both namesrv topic group count ms recalls; of those that are sent the first recalls are taken back.
 */
public class Timers {
    public static void main(String[] a) throws Exception {
        String what = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]), sent = 0, recalled = 0, wrongId = 0;
        if (!what.equals("consume")) {
            long ms = Long.parseLong(a[5]);
            int recalls = Integer.parseInt(a[6]);
            DefaultMQProducer p = new DefaultMQProducer(group + "_p");
            p.setNamesrvAddr(ns);
            Result.patient(p);
            p.start();
            List<SendResult> take = new ArrayList<>();
            for (int i = 0; i < count + recalls; i++) {
                long now = System.currentTimeMillis(), due = now + ms;
                if (i % 3 == 0) due = now + (ms + 999) / 1000 * 1000;
                String body = due + " " + (i < recalls ? "recalled" : "kept") + " " + i;
                Message m = new Message(topic, "TagA", body.getBytes(StandardCharsets.UTF_8));
                if (i % 3 == 0) m.setDelayTimeSec((ms + 999) / 1000);
                if (i % 3 == 1) m.setDelayTimeMs(ms);
                if (i % 3 == 2) m.setDeliverTimeMs(due);
                SendResult r = p.send(m);
                sent++;
                if (i < recalls) take.add(r);
            }
            for (SendResult r : take) {
                String id = p.recallMessage(topic, r.getRecallHandle());
                if (!id.equals(r.getMsgId())) wrongId++;
                recalled++;
            }
            p.shutdown();
        }
        Due due = new Due();
        if (!what.equals("send")) due.consume(ns, topic, group, count, 1500);
        System.out.println("{\"action\":\"timers\",\"sent\":" + sent + ",\"got\":" + due.got + ",\"distinct\":" + due.distinct.size() + ",\"recalled\":" + recalled +
            ",\"wrongId\":" + wrongId + ",\"gone\":" + due.gone + ",\"early\":" + (due.first.get() < 0) + ",\"earliest\":" + due.first + ",\"latest\":" + due.last + "}");
        System.exit(0);
    }
}
