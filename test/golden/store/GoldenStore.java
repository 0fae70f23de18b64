import com.alibaba.fastjson2.JSON;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.stream.Stream;
import org.apache.rocketmq.broker.BrokerController;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.attribute.TopicMessageType;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExtBatch;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyServerConfig;
import org.apache.rocketmq.remoting.protocol.subscription.CustomizedRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicyType;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.DispatchRequest;
import org.apache.rocketmq.store.PutMessageResult;
import org.apache.rocketmq.store.PutMessageStatus;
import org.apache.rocketmq.store.QueryMessageResult;
import org.apache.rocketmq.store.SelectMappedBufferResult;
import org.apache.rocketmq.store.StoreCheckpoint;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/** Writes records and whole store directories with the real store classes, and what they mean as JSON beside them. */
public class GoldenStore {
    static final InetSocketAddress BORN4 = new InetSocketAddress("10.0.0.1", 1234);
    static final InetSocketAddress STORE4 = new InetSocketAddress("10.0.0.2", 10911);
    static final InetSocketAddress BORN6 = new InetSocketAddress("2001:db8::1", 65535);
    static final InetSocketAddress STORE6 = new InetSocketAddress("2001:db8::2", 10911);
    static final long BORN_TIME = 1700000000000L;

    static Path work;

    public static void main(String[] args) {
        int code = 1; // the classes leave threads behind, so that only exit ends the program
        try {
            generate(args);
            code = 0;
        } catch (Exception e) {
            e.printStackTrace();
        }
        System.exit(code);
    }

    static void generate(String[] args) throws Exception {
        Path records = Path.of(args[0]);
        Path stores = Path.of(args[1]);
        work = Files.createTempDirectory("golden");
        System.setProperty("user.home", work.toString());
        if (!args[0].isEmpty()) {
            records(fresh(records));
            vectors(records);
        }
        fresh(stores);
        store(stores, "clean", false, false);
        store(stores, "killed", true, false);
        store(stores, "crc", false, true);
        configs(stores.resolve("config"));
        delete(work);
    }

    // ---- single records ----

    interface Maker {
        void make(MessageExtBrokerInner m);
    }

    static void records(Path dir) throws Exception {
        Map<String, Maker> makers = new LinkedHashMap<>();
        makers.put("v4v4", m -> { });
        makers.put("v6v4", m -> m.setBornHost(BORN6));
        makers.put("v4v6", m -> m.setStoreHost(STORE6));
        makers.put("v6v6", m -> { m.setBornHost(BORN6); m.setStoreHost(STORE6); });
        makers.put("empty_body", m -> m.setBody(new byte[0]));
        makers.put("no_properties", m -> props(m, ""));
        makers.put("unterminated", m -> props(m, "TAGS\u0001TagB\u0002a\u0001b"));
        makers.put("odd_properties", m -> props(m, "a\u00011\u0002\u0002x\u0002\u0001y\u0002z\u0001\u0002a\u00012\u0002b\u0001c\u0001d\u0002"));
        makers.put("unicode", m -> { props(m, "TAGS\u0001\u6807\u7b7e\ud83d\ude00\u0002KEYS\u0001\u00e9\u0002"); m.setBody("\u4e2d\u6587".getBytes(StandardCharsets.UTF_8)); });
        makers.put("long_topic", m -> m.setTopic("%RETRY%" + "T".repeat(193)));
        makers.put("topic_127", m -> m.setTopic("T".repeat(127)));
        makers.put("topic_128", m -> m.setTopic("T".repeat(128)));
        makers.put("numbers", m -> {
            m.setQueueId(7); m.setFlag(-2); m.setReconsumeTimes(16); m.setBornTimestamp(-1);
            m.setPreparedTransactionOffset(0x0102030405060708L);
            m.setSysFlag(MessageSysFlag.COMPRESSED_FLAG | MessageSysFlag.MULTI_TAGS_FLAG | MessageSysFlag.TRANSACTION_COMMIT_TYPE
                | (2 << 8));
        });
        makers.put("prepared", m -> { m.setSysFlag(MessageSysFlag.TRANSACTION_PREPARED_TYPE); });
        makers.put("delay", m -> { m.setTopic("SCHEDULE_TOPIC_XXXX"); m.setQueueId(2); props(m, "REAL_TOPIC\u0001TopicTest\u0002DELAY\u00013\u0002REAL_QID\u00010\u0002TAGS\u0001TagA\u0002"); });
        makers.put("props_32767", m -> props(m, "k\u0001" + "v".repeat(32767 - 3) + "\u0002"));
        makers.put("body_5000", m -> { byte[] b = new byte[5000]; for (int i = 0; i < b.length; i++) b[i] = (byte) (i * i >> 3); m.setBody(b); });
        for (boolean crc : new boolean[] {false, true}) {
            DefaultMessageStore store = open(work.resolve("records" + crc), crc, 1 << 20);
            store.start();
            Map<String, Maker> all = new LinkedHashMap<>(makers);
            if (crc) {
                all.remove("props_32767");
                all.put("props_32747", m -> props(m, "k\u0001" + "v".repeat(32747 - 3) + "\u0002"));
                all.put("client_crc", m -> props(m, "a\u0001b\u0002__CRC32#\u00010123456789\u0002c\u0001d\u0002"));
                all.put("client_crc_last", m -> props(m, "a\u0001b\u0002__CRC32#\u00010123456789"));
            }
            for (Map.Entry<String, Maker> e : all.entrySet()) {
                MessageExtBrokerInner m = message("TopicTest", 0, "hello", null);
                props(m, "KEYS\u0001k1 k2\u0002UNIQ_KEY\u00010A0000010000000000000000000A0001\u0002TAGS\u0001TagA\u0002");
                e.getValue().make(m);
                String asked = m.getPropertiesString();
                PutMessageResult r = store.putMessage(m);
                if (r.getPutMessageStatus() != PutMessageStatus.PUT_OK) {
                    throw new IllegalStateException(e.getKey() + ": " + r.getPutMessageStatus());
                }
                write(dir, (crc ? "crc_" : "") + e.getKey(), store, r, 1, crc, asked, null);
            }
            List<Message> parts = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                Message part = new Message("TopicTest", "Tag" + i, "key" + i, ("part " + i).getBytes(StandardCharsets.UTF_8));
                part.setFlag(i);
                if (i == 1) {
                    part = new Message("TopicTest", "only tags, no body".getBytes(StandardCharsets.UTF_8));
                    part.putUserProperty("user", "value");
                }
                parts.add(part);
            }
            MessageExtBatch batch = batch("TopicTest", 1, parts);
            byte[] body = batch.getBody();
            PutMessageResult r = store.putMessages(batch);
            write(dir, (crc ? "crc_" : "") + "batch", store, r, 3, crc, "", body);
            store.shutdown();
        }
    }

    static void props(MessageExtBrokerInner m, String raw) {
        MessageAccessor.setProperties(m, MessageDecoder.string2messageProperties(raw));
        m.setPropertiesString(raw);
    }

    static MessageExtBrokerInner message(String topic, int queue, String body, String tag, String... keys) {
        MessageExtBrokerInner m = new MessageExtBrokerInner();
        fill(m, topic, queue);
        m.setBody(body.getBytes(StandardCharsets.UTF_8));
        StringBuilder raw = new StringBuilder();
        if (keys.length > 0) raw.append("KEYS\u0001").append(String.join(" ", keys)).append('\u0002');
        if (tag != null) raw.append("TAGS\u0001").append(tag).append('\u0002');
        props(m, raw.toString());
        if (tag != null) m.setTagsCode(MessageExtBrokerInner.tagsString2tagsCode(tag));
        return m;
    }

    static void fill(MessageExtBrokerInner m, String topic, int queue) {
        m.setTopic(topic);
        m.setQueueId(queue);
        m.setFlag(7);
        m.setBornTimestamp(BORN_TIME);
        m.setBornHost(BORN4);
        m.setStoreHost(STORE4);
    }

    static MessageExtBatch batch(String topic, int queue, List<Message> parts) {
        MessageExtBatch b = new MessageExtBatch();
        fill(b, topic, queue);
        b.setBody(MessageDecoder.encodeMessages(parts));
        return b;
    }

    /** The bytes of one put in NAME.bin, what Java reads in them in NAME.json. */
    static void write(Path dir, String name, DefaultMessageStore store, PutMessageResult put, int n, boolean crc, String asked,
        byte[] batchBody) throws Exception {
        long from = put.getAppendMessageResult().getWroteOffset();
        int size = put.getAppendMessageResult().getWroteBytes();
        SelectMappedBufferResult s = store.getCommitLog().getData(from);
        byte[] bytes = new byte[size];
        s.getByteBuffer().get(bytes);
        s.release();
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("propertyCRC", crc);
        out.put("askedProperties", hex(asked.getBytes(StandardCharsets.UTF_8)));
        out.put("msgIds", put.getAppendMessageResult().getMsgId());
        if (batchBody != null) out.put("batchBody", hex(batchBody));
        List<Object> list = new ArrayList<>();
        ByteBuffer all = ByteBuffer.wrap(bytes);
        for (int i = 0; i < n; i++) list.add(describe(store, all));
        out.put("records", list);
        Files.write(dir.resolve(name + ".bin"), bytes);
        json(dir.resolve(name + ".json"), out);
    }

    /** All fields of the record at the buffer's position, by Java's own readers; moves the position behind it. */
    static Map<String, Object> describe(DefaultMessageStore store, ByteBuffer all) {
        ByteBuffer b = all.slice();
        b.limit(b.getInt(0));
        Map<String, Object> d = dispatch(store, b.slice());
        org.apache.rocketmq.common.message.MessageExt m = MessageDecoder.decode(b.slice(), true, false);
        d.put("magic", Integer.toHexString(b.getInt(4)));
        d.put("bodyCRC", m.getBodyCRC());
        d.put("flag", m.getFlag());
        d.put("bornTime", m.getBornTimestamp());
        d.put("bornHost", host(m.getBornHost()));
        d.put("storeHost", host(m.getStoreHost()));
        d.put("reconsume", m.getReconsumeTimes());
        d.put("body", hex(m.getBody()));
        d.put("offsetID", MessageDecoder.createMessageId(m.getStoreHost(), m.getCommitLogOffset()));
        all.position(all.position() + b.limit());
        return d;
    }

    static Map<String, Object> dispatch(DefaultMessageStore store, ByteBuffer b) {
        DispatchRequest r = store.getCommitLog().checkMessageAndReturnSize(b, true, false);
        if (!r.isSuccess() || r.getMsgSize() <= 0) throw new IllegalStateException("Java cannot read its own record: " + r);
        Map<String, Object> d = new LinkedHashMap<>();
        d.put("size", r.getMsgSize());
        d.put("topic", r.getTopic());
        d.put("queueId", r.getQueueId());
        d.put("index", r.getConsumeQueueOffset());
        d.put("offset", r.getCommitLogOffset());
        d.put("sysFlag", r.getSysFlag());
        d.put("storeTime", r.getStoreTimestamp());
        d.put("tagsCode", r.getTagsCode());
        d.put("preparedOffset", r.getPreparedTransactionOffset());
        d.put("keys", r.getKeys());
        d.put("uniqKey", r.getUniqKey());
        Map<String, String> p = r.getPropertiesMap();
        Map<String, String> all = p == null ? new TreeMap<>() : new TreeMap<>(p);
        all.replaceAll((k, v) -> v.length() > 1000 ? "#" + v.length() : v);
        d.put("properties", all);
        return d;
    }

    static String host(java.net.SocketAddress a) {
        InetSocketAddress i = (InetSocketAddress) a;
        String ip = i.getAddress().getHostAddress();
        return ip.contains(":") ? "[" + ip + "]:" + i.getPort() : ip + ":" + i.getPort();
    }

    // ---- vectors ----

    static void vectors(Path dir) throws Exception {
        Map<String, Object> out = new LinkedHashMap<>();
        List<Object> hashes = new ArrayList<>();
        Random rnd = new Random(42);
        List<byte[]> texts = new ArrayList<>();
        for (String s : new String[] {"", "TagA", "polygenelubricants", "TopicTest#k1", "\u00e9", "\u4e2d\u6587", "\ud83d\ude00x"})
            texts.add(s.getBytes(StandardCharsets.UTF_8));
        int[] odd = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0,
            0xf1, 0xf3, 0xf4, 0xf5, 0xff};
        for (int i = 0; i < 600; i++) { // bytes that are hardly ever UTF-8
            byte[] b = new byte[1 + rnd.nextInt(6)];
            for (int k = 0; k < b.length; k++) b[k] = (byte) odd[rnd.nextInt(odd.length)];
            texts.add(b);
        }
        for (byte[] b : texts) {
            Map<String, Object> v = new LinkedHashMap<>();
            v.put("bytes", hex(b));
            v.put("hash", new String(b, StandardCharsets.UTF_8).hashCode());
            hashes.add(v);
        }
        out.put("hashes", hashes);
        List<Object> props = new ArrayList<>();
        char[] alphabet = {'a', 'b', '\u0001', '\u0002', '\u00e9'};
        for (int i = 0; i < 200; i++) {
            StringBuilder s = new StringBuilder();
            for (int k = rnd.nextInt(14); k >= 0; k--) s.append(alphabet[rnd.nextInt(alphabet.length)]);
            Map<String, Object> v = new LinkedHashMap<>();
            v.put("bytes", hex(s.toString().getBytes(StandardCharsets.UTF_8)));
            v.put("properties", new TreeMap<>(MessageDecoder.string2messageProperties(s.toString())));
            props.add(v);
        }
        out.put("properties", props);
        json(dir.resolve("vectors.json"), out);
    }

    // ---- whole directories ----

    static DefaultMessageStore open(Path dir, boolean crc, int segment) throws Exception {
        MessageStoreConfig c = config(dir, crc, segment);
        ConcurrentMap<String, TopicConfig> topics = new ConcurrentHashMap<>();
        DefaultMessageStore s = new DefaultMessageStore(c, new BrokerStatsManager("golden", true),
            (topic, queue, index, tags, time, bits, p) -> { }, new BrokerConfig(), topics);
        if (!s.load()) throw new IllegalStateException("load of " + dir);
        return s;
    }

    static MessageStoreConfig config(Path dir, boolean crc, int segment) {
        MessageStoreConfig c = new MessageStoreConfig();
        c.setStorePathRootDir(dir.toString());
        c.setStorePathCommitLog(dir.resolve("commitlog").toString());
        c.setMappedFileSizeCommitLog(segment);
        c.setMappedFileSizeConsumeQueue(2000);
        c.setMaxHashSlotNum(10);
        c.setMaxIndexNum(50);
        c.setEnabledAppendPropCRC(crc);
        c.setHaListenPort(0);
        c.setTimerWheelEnable(false);
        c.setEnableCompaction(false);
        c.setFlushConsumeQueueThoroughInterval(200);
        c.setFlushCommitLogThoroughInterval(200);
        c.setDiskMaxUsedSpaceRatio(99);
        return c;
    }

    /** A store of some 4 KiB log files with everything rolled at least once, beside it what is in it. */
    static void store(Path dir, String name, boolean killed, boolean crc) throws Exception {
        Path root = work.resolve(name);
        DefaultMessageStore s = open(root, crc, 4096);
        s.start();
        Random rnd = new Random(7);
        for (int i = 0; i < (crc ? 30 : 105); i++) {
            String tag = new String[] {"TagA", "TagB", null, "\u6807\ud83d\ude00"}[i % 4];
            MessageExtBrokerInner m = i % 3 == 0 ? message("TopicA", 0, "message " + i, tag, "k" + i, "same")
                : message("TopicA", 0, "message " + i, tag);
            put(s, m);
            if (i % 10 == 0) {
                byte[] body = new byte[rnd.nextInt(300)];
                rnd.nextBytes(body);
                MessageExtBrokerInner b = message("TopicB", i / 10 % 4, "", "TagA", "b" + i);
                b.setBody(body);
                MessageAccessor.putProperty(b, "UNIQ_KEY", String.format("0A0000010001000000000000%08X", i));
                b.setPropertiesString(MessageDecoder.messageProperties2String(b.getProperties()));
                put(s, b);
            }
            if (i == 30) put(s, message("%RETRY%" + "g".repeat(150), 0, "long topic", "TagA"));
            if (i == 40) {
                MessageExtBrokerInner d = message("SCHEDULE_TOPIC_XXXX", 2, "delayed", "TagA");
                props(d, "REAL_TOPIC\u0001TopicA\u0002DELAY\u00013\u0002REAL_QID\u00010\u0002TAGS\u0001TagA\u0002");
                put(s, d);
            }
            if (i == 50) {
                MessageExtBrokerInner v6 = message("TopicV6", 0, "from afar", "TagB");
                v6.setBornHost(BORN6);
                v6.setStoreHost(STORE6);
                put(s, v6);
            }
            if (i % 25 == 24) { // some of them end up at the end of a file
                List<Message> parts = new ArrayList<>();
                for (int k = 0; k < 5; k++)
                    parts.add(new Message("TopicBatch", "Tag" + k, "batch" + k, new byte[rnd.nextInt(100)]));
                PutMessageResult r = s.putMessages(batch("TopicBatch", 0, parts));
                if (r.getPutMessageStatus() != PutMessageStatus.PUT_OK) throw new IllegalStateException(r.toString());
            }
        }
        while (s.dispatchBehindBytes() > 0) Thread.sleep(10);
        Thread.sleep(1500); // flushes and checkpoints
        Map<String, Object> out = describe(s);
        if (killed) {
            copy(root, dir.resolve(name)); // what a killed process leaves
            s.shutdown();
        } else {
            s.shutdown();
            copy(root, dir.resolve(name));
        }
        out.put("checkpoint", checkpoint(dir.resolve(name).resolve("checkpoint")));
        out.put("segmentSize", 4096);
        out.put("queueFileSize", 2000);
        out.put("indexSlots", 10);
        out.put("indexCapacity", 50);
        json(dir.resolve(name + ".json"), out);
    }

    static void put(DefaultMessageStore s, MessageExtBrokerInner m) {
        PutMessageResult r = s.putMessage(m);
        if (r.getPutMessageStatus() != PutMessageStatus.PUT_OK) throw new IllegalStateException(m + ": " + r.getPutMessageStatus());
    }

    static Map<String, Object> checkpoint(Path file) throws Exception {
        ByteBuffer b = ByteBuffer.wrap(Files.readAllBytes(file));
        Map<String, Object> c = new LinkedHashMap<>();
        c.put("physicMsgTimestamp", b.getLong(0));
        c.put("logicsMsgTimestamp", b.getLong(8));
        c.put("indexMsgTimestamp", b.getLong(16));
        c.put("masterFlushedOffset", b.getLong(24));
        c.put("confirmPhyOffset", b.getLong(32));
        c.put("logicsPhysicalOffset", b.getLong(40));
        return c;
    }

    /** What Java finds in its store: every record of the log, the queues' borders, and the answers to look-ups. */
    static Map<String, Object> describe(DefaultMessageStore s) throws Exception {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("minOffset", s.getMinPhyOffset());
        out.put("maxOffset", s.getMaxPhyOffset());
        List<Object> records = new ArrayList<>();
        List<Object> ends = new ArrayList<>();
        Map<String, long[]> queues = new TreeMap<>();
        Map<String, List<Long>> times = new TreeMap<>();
        for (long at = s.getMinPhyOffset(); at < s.getMaxPhyOffset();) {
            SelectMappedBufferResult r = s.getCommitLog().getData(at);
            ByteBuffer b = r.getByteBuffer().slice();
            if (b.getInt(4) == MessageDecoder.BLANK_MAGIC_CODE) {
                Map<String, Object> e = new LinkedHashMap<>();
                e.put("offset", at);
                e.put("left", b.getInt(0));
                ends.add(e);
                at += b.getInt(0);
            } else {
                ByteBuffer one = b.slice();
                one.limit(b.getInt(0));
                Map<String, Object> d = dispatch(s, one.slice());
                records.add(d);
                String q = d.get("topic") + "/" + d.get("queueId");
                times.computeIfAbsent(q, k -> new ArrayList<>()).add((Long) d.get("storeTime"));
                d.remove("properties");
                d.values().removeIf(v -> v == null || v.equals(0) || v.equals(0L) || v.equals("")); // absent = 0 or empty
                at += b.getInt(0);
            }
            r.release();
        }
        out.put("records", records);
        out.put("ends", ends);
        Map<String, Object> qs = new TreeMap<>();
        for (String q : times.keySet()) {
            String topic = q.substring(0, q.lastIndexOf('/'));
            int id = Integer.parseInt(q.substring(q.lastIndexOf('/') + 1));
            Map<String, Object> v = new LinkedHashMap<>();
            v.put("min", s.getMinOffsetInQueue(topic, id));
            v.put("max", s.getMaxOffsetInQueue(topic, id));
            List<Object> byTime = new ArrayList<>();
            List<Long> ts = times.get(q);
            for (long t : new long[] {ts.get(0) - 1, ts.get(0), ts.get(ts.size() / 2), ts.get(ts.size() / 2) + 1, ts.get(ts.size() - 1),
                ts.get(ts.size() - 1) + 1}) {
                Map<String, Object> e = new LinkedHashMap<>();
                e.put("time", t);
                e.put("lower", s.getOffsetInQueueByTime(topic, id, t, org.apache.rocketmq.common.BoundaryType.LOWER));
                e.put("upper", s.getOffsetInQueueByTime(topic, id, t, org.apache.rocketmq.common.BoundaryType.UPPER));
                byTime.add(e);
            }
            v.put("byTime", byTime);
            qs.put(q, v);
        }
        out.put("queues", qs);
        List<Object> queries = new ArrayList<>();
        for (String[] k : new String[][] {{"TopicA", "k0"}, {"TopicA", "k99"}, {"TopicA", "same"}, {"TopicB", "b50"},
            {"TopicB", "0A000001000100000000000000000032"}, {"TopicBatch", "batch3"}, {"TopicA", "none"}}) {
            QueryMessageResult r = s.queryMessage(k[0], k[1], 32, 0, Long.MAX_VALUE);
            Map<String, Object> v = new LinkedHashMap<>();
            v.put("topic", k[0]);
            v.put("key", k[1]);
            List<Long> at = new ArrayList<>();
            for (ByteBuffer b : r.getMessageBufferList()) at.add(b.getLong(28));
            v.put("offsets", at);
            v.put("lastUpdateTime", r.getIndexLastUpdateTimestamp());
            v.put("lastUpdateOffset", r.getIndexLastUpdatePhyoffset());
            queries.add(v);
            r.release();
        }
        out.put("queries", queries);
        return out;
    }

    // ---- config files ----

    static void configs(Path dir) throws Exception {
        Path root = work.resolve("configs");
        BrokerConfig bc = new BrokerConfig();
        bc.setBrokerIP1("127.0.0.1");
        NettyServerConfig ns = new NettyServerConfig();
        ns.setListenPort(0);
        BrokerController c = new BrokerController(bc, ns, new NettyClientConfig(), config(root, false, 4096));
        TopicConfig t = new TopicConfig("TopicA", 4, 8, 6);
        t.setAttributes(new java.util.HashMap<>(Map.of("+message.type", TopicMessageType.NORMAL.getValue())));
        c.getTopicConfigManager().updateTopicConfig(t);
        TopicConfig o = new TopicConfig("TopicOrder", 1, 1, 4);
        o.setOrder(true);
        o.setTopicSysFlag(3);
        c.getTopicConfigManager().updateTopicConfig(o);
        SubscriptionGroupConfig g = new SubscriptionGroupConfig();
        g.setGroupName("groupA");
        c.getSubscriptionGroupManager().updateSubscriptionGroupConfig(g);
        SubscriptionGroupConfig g2 = new SubscriptionGroupConfig();
        g2.setGroupName("groupB");
        g2.setConsumeEnable(false);
        g2.setConsumeBroadcastEnable(false);
        g2.setConsumeMessageOrderly(true);
        g2.setRetryMaxTimes(3);
        g2.setRetryQueueNums(2);
        g2.setBrokerId(1);
        g2.setConsumeTimeoutMinute(20);
        GroupRetryPolicy p = new GroupRetryPolicy();
        p.setType(GroupRetryPolicyType.CUSTOMIZED);
        p.setCustomizedRetryPolicy(new CustomizedRetryPolicy(new long[] {1000, 5000}));
        g2.setGroupRetryPolicy(p);
        c.getSubscriptionGroupManager().updateSubscriptionGroupConfig(g2);
        c.getSubscriptionGroupManager().updateForbidden("groupA", "TopicA", 2, true);
        c.getConsumerOffsetManager().commitOffset("here", "groupA", "TopicA", 0, 5);
        c.getConsumerOffsetManager().commitOffset("here", "groupA", "TopicA", 1, 7);
        c.getConsumerOffsetManager().commitOffset("here", "groupA", "TopicA", 11, Long.MAX_VALUE);
        c.getConsumerOffsetManager().commitOffset("here", "group-B", "%RETRY%group-B", 0, 1);
        c.getConsumerFilterManager().register("TopicA", "groupA", "a > 5 AND b = 'x'", "SQL92", BORN_TIME);
        if (!c.initializeMessageStore()) throw new IllegalStateException("store of the broker");
        c.getScheduleMessageService().getOffsetTable().put(3, 10L);
        c.getScheduleMessageService().getOffsetTable().put(18, 2L);
        c.getTopicConfigManager().persist();
        c.getSubscriptionGroupManager().persist();
        c.getConsumerOffsetManager().persist();
        c.getConsumerFilterManager().persist();
        c.getScheduleMessageService().persist();
        copy(root.resolve("config"), dir);
    }

    // ---- files ----

    /** One line for each member, and for each element of a list. */
    static void json(Path file, Map<String, Object> o) throws Exception {
        StringBuilder s = new StringBuilder("{\n");
        int n = 0;
        for (Map.Entry<String, Object> e : o.entrySet()) {
            s.append(JSON.toJSONString(e.getKey())).append(": ");
            if (e.getValue() instanceof List<?> list && !list.isEmpty()) {
                s.append("[\n");
                for (int i = 0; i < list.size(); i++) s.append("  ").append(JSON.toJSONString(list.get(i))).append(i + 1 < list.size() ? ",\n" : "]");
            } else {
                s.append(JSON.toJSONString(e.getValue()));
            }
            s.append(++n < o.size() ? ",\n" : "\n}\n");
        }
        Files.write(file, s.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** Hex, or "#length:crc" of what is too long for a text file. */
    static String hex(byte[] b) {
        StringBuilder s = new StringBuilder();
        if (b == null) return "";
        if (b.length > 1000) return "#" + b.length + ":" + UtilAll.crc32(b);
        for (byte x : b) s.append(String.format("%02x", x));
        return s.toString();
    }

    static Path fresh(Path dir) throws Exception {
        delete(dir);
        return Files.createDirectories(dir);
    }

    static void delete(Path p) throws Exception {
        if (!Files.exists(p)) return;
        try (Stream<Path> all = Files.walk(p)) {
            for (Path f : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(f);
        }
    }

    static void copy(Path from, Path to) throws Exception {
        try (Stream<Path> all = Files.walk(from)) {
            for (Path f : all.sorted().toList()) {
                Path t = to.resolve(from.relativize(f).toString());
                if (from.relativize(f).startsWith("rocksdbstore")) continue; // made empty by default, not part of the layout
                if (f.getFileName().toString().endsWith(".json.bak")) continue;
                if (Files.isDirectory(f)) Files.createDirectories(t);
                else Files.copy(f, t);
            }
        }
    }
}
