import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.jms.BytesMessage;
import javax.jms.CompletionListener;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.InvalidClientIDException;
import javax.jms.JMSContext;
import javax.jms.JMSException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.ObjectMessage;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.StreamMessage;
import javax.jms.TextMessage;
import org.apache.qpid.jms.JmsConnectionFactory;

/** Queues through the unmodified Qpid JMS client. Usage: JmsQueue uri; prints one line of JSON with true for each thing that works. */
public class JmsQueue {
    public static void main(String[] a) throws Exception {
        JmsConnectionFactory f = new JmsConnectionFactory(a[0]);
        f.setDeserializationPolicy(new org.apache.qpid.jms.policy.JmsDefaultDeserializationPolicy());
        try (Connection c = f.createConnection()) {
            c.setClientID("one");
            c.start();
            types(c);
            acknowledge(c);
            timing(c);
            asynchronous(c);
            shared(c, a);
            clientID(f);
            context(f);
        }
        Steps.print("jms");
    }

    /** Every type of message comes back as it was. */
    static void types(Connection c) throws Exception {
        Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue q = s.createQueue("jms.types");
        MessageConsumer r = s.createConsumer(q);
        MessageProducer p = s.createProducer(q);
        Steps.step("text", () -> {
            TextMessage m = s.createTextMessage("grün");
            m.setJMSCorrelationID("corr");
            m.setJMSType("kind");
            m.setJMSReplyTo(s.createQueue("jms.reply"));
            m.setStringProperty("s", "x");
            m.setIntProperty("i", -7);
            m.setLongProperty("l", 1L << 40);
            m.setBooleanProperty("b", true);
            m.setDoubleProperty("d", 0.1);
            m.setFloatProperty("f", 0.1f);
            m.setByteProperty("y", (byte) -1);
            m.setShortProperty("h", (short) 300);
            p.send(m, DeliveryMode.PERSISTENT, 7, Steps.PATIENCE);
            TextMessage g = (TextMessage) r.receive(Steps.PATIENCE);
            return g.getText().equals("grün") && g.getJMSCorrelationID().equals("corr") && g.getJMSType().equals("kind")
                && ((Queue) g.getJMSReplyTo()).getQueueName().equals("jms.reply") && ((Queue) g.getJMSDestination()).getQueueName().equals("jms.types")
                && g.getStringProperty("s").equals("x") && g.getObjectProperty("i").equals(-7) && g.getObjectProperty("l").equals(1L << 40)
                && g.getObjectProperty("b").equals(true) && g.getObjectProperty("d").equals(0.1) && g.getObjectProperty("f").equals(0.1f)
                && g.getObjectProperty("y").equals((byte) -1) && g.getObjectProperty("h").equals((short) 300)
                && g.getJMSPriority() == 7 && g.getJMSDeliveryMode() == DeliveryMode.PERSISTENT && g.getJMSMessageID().equals(m.getJMSMessageID())
                && g.getJMSTimestamp() == m.getJMSTimestamp() && g.getJMSExpiration() == m.getJMSExpiration() && !g.getJMSRedelivered();
        });
        Steps.step("bytes", () -> {
            BytesMessage m = s.createBytesMessage();
            m.writeInt(42);
            m.writeUTF("bytes");
            p.send(m);
            BytesMessage g = (BytesMessage) r.receive(Steps.PATIENCE);
            return g.readInt() == 42 && g.readUTF().equals("bytes");
        });
        Steps.step("map", () -> {
            MapMessage m = s.createMapMessage();
            m.setInt("i", 1);
            m.setString("s", "v");
            m.setBytes("b", new byte[] {1, 2});
            p.send(m);
            MapMessage g = (MapMessage) r.receive(Steps.PATIENCE);
            return g.getInt("i") == 1 && g.getString("s").equals("v") && g.getBytes("b")[1] == 2;
        });
        Steps.step("stream", () -> {
            StreamMessage m = s.createStreamMessage();
            m.writeLong(5);
            m.writeString("six");
            p.send(m);
            StreamMessage g = (StreamMessage) r.receive(Steps.PATIENCE);
            return g.readLong() == 5 && g.readString().equals("six");
        });
        Steps.step("object", () -> {
            ObjectMessage m = s.createObjectMessage(new ArrayList<>(List.of("a", "b")));
            p.send(m);
            return ((ObjectMessage) r.receive(Steps.PATIENCE)).getObject().equals(List.of("a", "b"));
        });
        Steps.step("empty", () -> {
            p.send(s.createMessage());
            p.send(s.createTextMessage(""));
            p.send(s.createTextMessage());
            Message g = r.receive(Steps.PATIENCE);
            TextMessage none = (TextMessage) r.receive(Steps.PATIENCE), nil = (TextMessage) r.receive(Steps.PATIENCE);
            return !(g instanceof TextMessage) && none.getText().isEmpty() && nil.getText() == null;
        });
        Steps.step("large", () -> {
            BytesMessage m = s.createBytesMessage();
            byte[] b = new byte[3 << 20];
            b[b.length - 1] = 9;
            m.writeBytes(b);
            p.send(m);
            BytesMessage g = (BytesMessage) r.receive(Steps.PATIENCE);
            byte[] got = new byte[b.length];
            return g.getBodyLength() == b.length && g.readBytes(got) == b.length && got[b.length - 1] == 9;
        });
        s.close();
    }

    /** The modes of acknowledgement. */
    static void acknowledge(Connection c) throws Exception {
        for (int mode : new int[] {Session.AUTO_ACKNOWLEDGE, Session.DUPS_OK_ACKNOWLEDGE, Session.CLIENT_ACKNOWLEDGE, 101}) {
            Steps.step("mode" + mode, () -> {
                Session s = c.createSession(false, mode);
                Queue q = s.createQueue("jms.mode" + mode);
                MessageProducer p = s.createProducer(q);
                for (int i = 0; i < 50; i++) p.send(s.createTextMessage("" + i));
                MessageConsumer r = s.createConsumer(q);
                for (int i = 0; i < 50; i++) {
                    TextMessage m = (TextMessage) r.receive(Steps.PATIENCE);
                    if (!m.getText().equals("" + i) || m.getJMSRedelivered()) return false;
                    if (mode == 101 || mode == Session.CLIENT_ACKNOWLEDGE && i == 49) m.acknowledge();
                }
                s.close();
                s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
                boolean empty = s.createConsumer(q).receiveNoWait() == null;
                s.close();
                return empty;
            });
        }
        Steps.step("recover", () -> {
            Session s = c.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            Queue q = s.createQueue("jms.recover");
            s.createProducer(q).send(s.createTextMessage("m"));
            MessageConsumer r = s.createConsumer(q);
            boolean first = !r.receive(Steps.PATIENCE).getJMSRedelivered();
            s.recover();
            Message m = r.receive(Steps.PATIENCE);
            boolean again = m.getJMSRedelivered() && m.getIntProperty("JMSXDeliveryCount") == 2;
            s.close(); // without an acknowledgement: the queue has it again
            Session t = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Message back = t.createConsumer(q).receive(Steps.PATIENCE);
            t.close();
            return first && again && back.getJMSRedelivered();
        });
    }

    /** What depends on time. */
    static void timing(Connection c) throws Exception {
        Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue q = s.createQueue("jms.time");
        MessageProducer p = s.createProducer(q);
        MessageConsumer r = s.createConsumer(q);
        Steps.step("nothing", () -> r.receiveNoWait() == null && r.receive(100) == null);
        Steps.step("delay", () -> {
            p.setDeliveryDelay(5000);
            long began = System.currentTimeMillis();
            p.send(s.createTextMessage("late"));
            p.setDeliveryDelay(0);
            p.send(s.createTextMessage("now"));
            String first = ((TextMessage) r.receive(Steps.PATIENCE)).getText(), second = ((TextMessage) r.receive(Steps.PATIENCE)).getText();
            return first.equals("now") && second.equals("late") && System.currentTimeMillis() - began >= 5000;
        });
        Steps.step("expired", () -> {
            Queue e = s.createQueue("jms.expired");
            MessageProducer x = s.createProducer(e);
            x.send(s.createTextMessage("old"), DeliveryMode.PERSISTENT, 4, 1);
            Thread.sleep(50);
            x.send(s.createTextMessage("fresh"));
            return ((TextMessage) s.createConsumer(e).receive(Steps.PATIENCE)).getText().equals("fresh");
        });
        s.close();
    }

    static void asynchronous(Connection c) throws Exception {
        Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue q = s.createQueue("jms.async");
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        Session l = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        l.createConsumer(q).setMessageListener(m -> {
            try { got.add(((TextMessage) m).getText()); } catch (JMSException e) { got.add(e.toString()); }
        });
        Steps.step("async", () -> {
            MessageProducer p = s.createProducer(q);
            List<CompletableFuture<Void>> all = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                CompletableFuture<Void> done = new CompletableFuture<>();
                all.add(done);
                p.send(s.createTextMessage("" + i), new CompletionListener() {
                    public void onCompletion(Message m) { done.complete(null); }
                    public void onException(Message m, Exception e) { done.completeExceptionally(e); }
                });
            }
            for (CompletableFuture<Void> d : all) d.get(Steps.PATIENCE, TimeUnit.MILLISECONDS);
            for (int i = 0; i < 200; i++) if (!("" + i).equals(got.poll(Steps.PATIENCE, TimeUnit.MILLISECONDS))) return false;
            return true;
        });
        Steps.step("anonymous", () -> {
            s.createProducer(null).send(q, s.createTextMessage("no address"));
            return "no address".equals(got.poll(Steps.PATIENCE, TimeUnit.MILLISECONDS));
        });
        l.close();
        s.close();
    }

    /** What RocketMQ clients have sent, and what they are to read. */
    static void shared(Connection c, String[] a) throws Exception {
        Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Steps.step("ofJava", () -> {
            MessageConsumer r = s.createConsumer(s.createQueue("from_java"));
            for (int i = 0; i < 20; i++) {
                BytesMessage m = (BytesMessage) r.receive(Steps.PATIENCE);
                byte[] b = new byte[(int) m.getBodyLength()];
                m.readBytes(b);
                if (!new String(b, StandardCharsets.UTF_8).startsWith("body-") || !m.getJMSType().startsWith("Tag")) return false;
            }
            r.close();
            return true;
        });
        Steps.step("toJava", () -> {
            MessageProducer p = s.createProducer(s.createQueue("to_java"));
            for (int i = 0; i < 20; i++) p.send(s.createTextMessage("body-" + i));
            return true;
        });
        s.close();
    }

    static void clientID(JmsConnectionFactory f) {
        Steps.step("clientID", () -> {
            try (Connection d = f.createConnection()) {
                d.setClientID("one");
                d.start();
                return false;
            } catch (InvalidClientIDException e) {
                return true;
            }
        });
    }

    static void context(JmsConnectionFactory f) {
        Steps.step("context", () -> {
            try (JMSContext x = f.createContext()) {
                Queue q = x.createQueue("jms.context");
                x.createProducer().setProperty("n", 1).send(q, "body");
                return "body".equals(x.createConsumer(q).receiveBody(String.class, Steps.PATIENCE));
            }
        });
    }
}
