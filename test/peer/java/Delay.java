import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/**
 * Delay levels with the unmodified client; the body is when the message is due.
 * Usage: Delay send namesrv topic group count level times..., Delay consume namesrv topic group count, Delay both (as send)
 * times: the seconds of level 1, 2, ...; level 0 uses all of them in turn.
 */
public class Delay {
    public static void main(String[] a) throws Exception {
        String what = a[0], ns = a[1], topic = a[2], group = a[3];
        int count = Integer.parseInt(a[4]);
        int sent = 0;
        if (!what.equals("consume")) {
            DefaultMQProducer p = new DefaultMQProducer(group + "_p");
            p.setNamesrvAddr(ns);
            Result.patient(p);
            p.start();
            int level = Integer.parseInt(a[5]), levels = a.length - 6;
            for (int i = 0; i < count; i++) {
                int l = level > 0 ? level : 1 + i % levels;
                long due = System.currentTimeMillis() + 1000 * Long.parseLong(a[5 + l]);
                Message m = new Message(topic, "TagA", (due + " " + i).getBytes(StandardCharsets.UTF_8));
                m.setDelayTimeLevel(l);
                p.send(m);
                sent++;
            }
            p.shutdown();
        }
        Due due = new Due();
        if (!what.equals("send")) due.consume(ns, topic, group, count, 300);
        System.out.println("{\"action\":\"delay\",\"sent\":" + sent + ",\"got\":" + due.got + ",\"distinct\":" + due.distinct.size() +
            ",\"early\":" + (due.first.get() < 0) + ",\"latest\":" + due.last + "}");
        System.exit(0);
    }
}
