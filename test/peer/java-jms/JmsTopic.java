import javax.jms.Connection;
import javax.jms.InvalidDestinationException;
import javax.jms.InvalidSelectorException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Session;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.apache.qpid.jms.JmsConnectionFactory;

/** Topics through the unmodified Qpid JMS client. Usage: JmsTopic uri; prints one line of JSON with true for each thing that works. */
public class JmsTopic {
    static boolean is(MessageConsumer c, String text) throws Exception {
        TextMessage m = (TextMessage) c.receive(Steps.PATIENCE);
        if (m == null || !m.getText().equals(text)) throw new Exception("want " + text + ", got " + (m == null ? null : m.getText()));
        return true;
    }

    public static void main(String[] a) throws Exception {
        JmsConnectionFactory f = new JmsConnectionFactory(a[0]);
        try (Connection c = f.createConnection(); Connection d = f.createConnection()) {
            c.setClientID("topics");
            c.start();
            d.start();
            Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE), o = d.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Topic t = s.createTopic("jms.news");
            MessageProducer p = o.createProducer(t);
            p.send(o.createTextMessage("before"));
            Steps.step("subscribers", () -> {
                MessageConsumer one = s.createConsumer(t), two = o.createConsumer(t);
                p.send(o.createTextMessage("x"));
                boolean ok = is(one, "x") && is(two, "x") && one.receiveNoWait() == null;
                one.close();
                two.close();
                return ok;
            });
            Steps.step("durable", () -> {
                MessageConsumer one = s.createDurableSubscriber(t, "keep");
                p.send(o.createTextMessage("1"));
                is(one, "1");
                one.close();
                p.send(o.createTextMessage("2"));
                one = s.createDurableSubscriber(t, "keep");
                is(one, "2");
                try {
                    s.unsubscribe("keep");
                    return false;
                } catch (javax.jms.JMSException inUse) { /* as it must be */ }
                one.close();
                s.unsubscribe("keep");
                p.send(o.createTextMessage("3"));
                one = s.createDurableSubscriber(t, "keep");
                boolean ok = one.receiveNoWait() == null;
                p.send(o.createTextMessage("4"));
                is(one, "4");
                one.close();
                s.unsubscribe("keep");
                return ok;
            });
            Steps.step("durableChanged", () -> {
                MessageConsumer one = s.createDurableSubscriber(t, "sel", "n = 1", false);
                one.close();
                send(o, p, 1);
                one = s.createDurableSubscriber(t, "sel", "n = 2", false); // another one: what came before is not for it
                send(o, p, 1);
                send(o, p, 2);
                is(one, "n2");
                boolean ok = one.receiveNoWait() == null;
                one.close();
                s.unsubscribe("sel");
                return ok;
            });
            Steps.step("shared", () -> {
                Topic u = o.createTopic("jms.shared");
                MessageConsumer one = o.createSharedConsumer(u, "team"), two = o.createSharedConsumer(u, "team");
                MessageProducer q = o.createProducer(u);
                for (int i = 0; i < 20; i++) q.send(o.createTextMessage("m"));
                int n = 0;
                for (long end = System.currentTimeMillis() + Steps.PATIENCE; n < 20 && System.currentTimeMillis() < end; )
                    for (MessageConsumer x : new MessageConsumer[] {one, two}) while (x.receive(10) != null) n++;
                boolean ok = n == 20 && one.receiveNoWait() == null && two.receiveNoWait() == null;
                one.close();
                two.close();
                return ok;
            });
            Steps.step("sharedDurable", () -> {
                MessageConsumer one = s.createSharedDurableConsumer(t, "crew"), two = s.createSharedDurableConsumer(t, "crew");
                one.close();
                two.close();
                p.send(o.createTextMessage("kept"));
                one = s.createSharedDurableConsumer(t, "crew");
                is(one, "kept");
                one.close();
                s.unsubscribe("crew");
                return true;
            });
            Steps.step("selector", () -> {
                MessageConsumer one = s.createConsumer(t, "n BETWEEN 2 AND 3 AND JMSPriority = 4 AND JMSType IS NULL");
                for (int i = 1; i <= 4; i++) send(o, p, i);
                boolean ok = is(one, "n2") && is(one, "n3") && one.receiveNoWait() == null;
                one.close();
                return ok;
            });
            Steps.step("selectorWrong", () -> {
                try {
                    s.createConsumer(t, "n ==");
                    return false;
                } catch (InvalidSelectorException e) {
                    return true;
                }
            });
            Steps.step("unsubscribeUnknown", () -> {
                try {
                    s.unsubscribe("nobody");
                    return false;
                } catch (InvalidDestinationException e) {
                    return true;
                }
            });
        }
        Steps.print("topics");
    }

    static void send(Session s, MessageProducer p, int n) throws Exception {
        Message m = s.createTextMessage("n" + n);
        m.setIntProperty("n", n);
        p.send(m);
    }
}
