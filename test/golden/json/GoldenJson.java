import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageQueueAssignment;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.common.message.MessageQueueForC;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.*;
import org.apache.rocketmq.remoting.protocol.header.GetConsumerListByGroupResponseBody;
import org.apache.rocketmq.remoting.protocol.header.PullMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeaderV2;
import org.apache.rocketmq.remoting.protocol.header.SendMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumeType;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingInfo;
import org.apache.rocketmq.remoting.protocol.subscription.CustomizedRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicyType;
import org.apache.rocketmq.remoting.protocol.subscription.SimpleSubscriptionData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/**
 * Writes what the real RocketMQ classes make of known values: the golden files that the Go codecs are held to.
 * Tables have one entry each, because the order of Java's hash maps is nothing to hold anybody to.
 */
public class GoldenJson {
    static final long T = 1795358693727L;
    static PrintStream bodies;

    public static void main(String[] args) throws Exception {
        bodies = open(args[0], "bodies.txt");
        route();
        config();
        client();
        stats();
        offsets();
        bodies.close();
        frames(args[0]);
        forms(args[1]);
        doubles(args[1]);
        escapes(args[1]);
    }

    static PrintStream open(String dir, String name) throws Exception {
        new File(dir).mkdirs();
        return new PrintStream(new File(dir, name), "UTF-8");
    }

    static void body(String name, RemotingSerializable o) {
        text(name, new String(o.encode(), StandardCharsets.UTF_8));
    }

    static void text(String name, String json) {
        bodies.print(name + "\t" + json + "\n");
    }

    static TopicRouteData routeData() {
        TopicRouteData r = new TopicRouteData();
        HashMap<Long, String> addrs = new HashMap<>();
        addrs.put(0L, "127.0.0.1:10911");
        addrs.put(1L, "127.0.0.1:10921");
        r.setBrokerDatas(new ArrayList<>(List.of(new BrokerData("DefaultCluster", "broker-a", addrs))));
        QueueData q = new QueueData();
        q.setBrokerName("broker-a");
        q.setReadQueueNums(8);
        q.setWriteQueueNums(4);
        q.setPerm(6);
        q.setTopicSysFlag(1);
        r.setQueueDatas(new ArrayList<>(List.of(q)));
        r.setFilterServerTable(new HashMap<>());
        return r;
    }

    static TopicQueueMappingInfo mapping() {
        TopicQueueMappingInfo m = new TopicQueueMappingInfo("T", 4, "broker-a", 1);
        m.setCurrIdMap(new ConcurrentHashMap<>(Map.of(0, 1)));
        return m;
    }

    static void route() {
        body("TopicRouteData", routeData());
        text("TopicRouteData.standard", new String(routeData().encode(
            JSONWriter.Feature.BrowserCompatible, JSONWriter.Feature.MapSortField), StandardCharsets.UTF_8));
        TopicRouteData r = routeData();
        r.setOrderTopicConf("broker-a:8");
        r.getBrokerDatas().get(0).setZoneName("z1");
        r.getBrokerDatas().get(0).setEnableActingMaster(true);
        r.getFilterServerTable().put("127.0.0.1:10911", List.of("fs"));
        r.setTopicQueueMappingByBroker(new HashMap<>(Map.of("broker-a", mapping())));
        body("TopicRouteData", r);
        ClusterInfo c = new ClusterInfo();
        c.setBrokerAddrTable(new HashMap<>(Map.of("broker-a", routeData().getBrokerDatas().get(0))));
        c.setClusterAddrTable(new HashMap<>(Map.of("DefaultCluster", new HashSet<>(List.of("broker-a")))));
        body("ClusterInfo", c);
        BrokerMemberGroup g = new BrokerMemberGroup("c", "b");
        g.setBrokerAddrs(new HashMap<>(Map.of(0L, "a", 1L, "b")));
        GetBrokerMemberGroupResponseBody mg = new GetBrokerMemberGroupResponseBody();
        mg.setBrokerMemberGroup(g);
        body("GetBrokerMemberGroupResponseBody", mg);
        TopicList l = new TopicList();
        l.setTopicList(Collections.singleton("A"));
        body("TopicList", l);
        l.setBrokerAddr("x:1");
        body("TopicList", l);
        KVTable kv = new KVTable();
        kv.setTable(new HashMap<>(Map.of("k", "v\"1\u0001")));
        body("KVTable", kv);
    }

    static DataVersion version() {
        DataVersion v = new DataVersion();
        v.setTimestamp(T);
        v.setStateVersion(2);
        v.getCounter().set(3);
        return v;
    }

    static TopicConfig topic(String name) {
        TopicConfig t = new TopicConfig(name, 8, 4, 6);
        t.getAttributes().put("message.type", "FIFO");
        t.setOrder(true);
        t.setTopicSysFlag(1);
        return t;
    }

    static SubscriptionGroupConfig group(String name) {
        SubscriptionGroupConfig g = new SubscriptionGroupConfig();
        g.setGroupName(name);
        return g;
    }

    static TopicConfigAndMappingSerializeWrapper wrapper() {
        TopicConfigAndMappingSerializeWrapper w = new TopicConfigAndMappingSerializeWrapper();
        w.setDataVersion(version());
        DataVersion mv = new DataVersion();
        mv.setTimestamp(T + 1);
        w.setMappingDataVersion(mv);
        w.getTopicConfigTable().put("TopicTest", topic("TopicTest"));
        w.setTopicQueueMappingInfoMap(new ConcurrentHashMap<>(Map.of("T", mapping())));
        return w;
    }

    static void config() throws Exception {
        body("DataVersion", version());
        text("TopicConfig", JSON.toJSONString(topic("TopicTest")));
        text("TopicConfig", JSON.toJSONString(new TopicConfig("A")));
        CreateTopicListRequestBody ctl = new CreateTopicListRequestBody();
        ctl.setTopicConfigList(List.of(topic("A"), new TopicConfig("B")));
        body("CreateTopicListRequestBody", ctl);
        body("TopicConfigAndMappingSerializeWrapper", wrapper());
        RegisterBrokerBody rb = new RegisterBrokerBody();
        rb.setTopicConfigSerializeWrapper(wrapper());
        rb.setFilterServerList(new ArrayList<>(List.of("fs:1")));
        body("RegisterBrokerBody", rb);
        text("RegisterBrokerBody.compressed", hex(rb.encode(true)));
        text("SubscriptionGroupConfig", JSON.toJSONString(group("CG")));
        SubscriptionGroupConfig g = group("CG2");
        g.setConsumeEnable(false);
        g.setAttributes(new HashMap<>(Map.of("k", "v")));
        g.setSubscriptionDataSet(new HashSet<>(List.of(new SimpleSubscriptionData("T", "TAG", "*", 5))));
        GroupRetryPolicy p = new GroupRetryPolicy();
        p.setType(GroupRetryPolicyType.CUSTOMIZED);
        p.setCustomizedRetryPolicy(new CustomizedRetryPolicy(new long[] {1000, 2000}));
        g.setGroupRetryPolicy(p);
        text("SubscriptionGroupConfig", JSON.toJSONString(g));
        SubscriptionGroupList sgl = new SubscriptionGroupList();
        sgl.setGroupConfigList(List.of(g, group("x")));
        body("SubscriptionGroupList", sgl);
        SubscriptionGroupWrapper sgw = new SubscriptionGroupWrapper();
        sgw.setDataVersion(version());
        sgw.getSubscriptionGroupTable().put("CG", group("CG"));
        sgw.setForbiddenTable(new ConcurrentHashMap<>(Map.of("CG", new ConcurrentHashMap<>(Map.of("T", 4)))));
        body("SubscriptionGroupWrapper", sgw);
    }

    static SubscriptionData subscription() {
        SubscriptionData s = new SubscriptionData("TopicTest", "TagA");
        s.setTagsSet(new HashSet<>(List.of("TagA")));
        s.setCodeSet(new HashSet<>(List.of("TagA".hashCode())));
        s.setSubVersion(T);
        return s;
    }

    static void client() {
        HeartbeatData h = new HeartbeatData();
        h.setClientID("10.0.0.1@1234#5678");
        ProducerData pd = new ProducerData();
        pd.setGroupName("PG");
        h.setProducerDataSet(new HashSet<>(List.of(pd)));
        ConsumerData cd = new ConsumerData();
        cd.setGroupName("CG");
        cd.setConsumeType(ConsumeType.CONSUME_PASSIVELY);
        cd.setMessageModel(MessageModel.CLUSTERING);
        cd.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        cd.setSubscriptionDataSet(new HashSet<>(List.of(subscription())));
        h.setConsumerDataSet(new HashSet<>(List.of(cd)));
        h.setHeartbeatFingerprint(-7);
        body("HeartbeatData", h);
        GetConsumerListByGroupResponseBody gl = new GetConsumerListByGroupResponseBody();
        gl.setConsumerIdList(List.of("a@1", "b@2"));
        body("GetConsumerListByGroupResponseBody", gl);
        CheckClientRequestBody cc = new CheckClientRequestBody();
        cc.setClientId("cid");
        cc.setGroup("g");
        cc.setNamespace("ns");
        cc.setSubscriptionData(subscription());
        body("CheckClientRequestBody", cc);
        MessageQueue mq = new MessageQueue("TopicTest", "broker-a", 3);
        LockBatchRequestBody lr = new LockBatchRequestBody();
        lr.setClientId("cid");
        lr.setConsumerGroup("CG");
        lr.setMqSet(new HashSet<>(List.of(mq)));
        body("LockBatchRequestBody", lr);
        UnlockBatchRequestBody ur = new UnlockBatchRequestBody();
        ur.setClientId("cid");
        ur.setConsumerGroup("CG");
        ur.setOnlyThisBroker(true);
        ur.setMqSet(new HashSet<>(List.of(mq)));
        body("UnlockBatchRequestBody", ur);
        LockBatchResponseBody lb = new LockBatchResponseBody();
        lb.setLockOKMQSet(new HashSet<>(List.of(mq)));
        body("LockBatchResponseBody", lb);
        QueryAssignmentRequestBody qa = new QueryAssignmentRequestBody();
        qa.setClientId("cid");
        qa.setConsumerGroup("CG");
        qa.setMessageModel(MessageModel.CLUSTERING);
        qa.setStrategyName("AVG");
        qa.setTopic("T");
        body("QueryAssignmentRequestBody", qa);
        QueryAssignmentResponseBody qr = new QueryAssignmentResponseBody();
        body("QueryAssignmentResponseBody", qr);
        MessageQueueAssignment a = new MessageQueueAssignment();
        a.setMessageQueue(mq);
        a.setMode(MessageRequestMode.POP);
        qr.setMessageQueueAssignments(new HashSet<>(List.of(a)));
        body("QueryAssignmentResponseBody", qr);
        SetMessageRequestModeRequestBody sm = new SetMessageRequestModeRequestBody();
        sm.setTopic("T");
        sm.setConsumerGroup("CG");
        sm.setMode(MessageRequestMode.POP);
        sm.setPopShareQueueNum(2);
        body("SetMessageRequestModeRequestBody", sm);
        MessageRequestModeSerializeWrapper mw = new MessageRequestModeSerializeWrapper();
        mw.setMessageRequestModeMap(new ConcurrentHashMap<>(Map.of("T", new ConcurrentHashMap<>(Map.of("CG", sm)))));
        body("MessageRequestModeSerializeWrapper", mw);
        ConsumeMessageDirectlyResult dr = new ConsumeMessageDirectlyResult();
        dr.setConsumeResult(CMResult.CR_SUCCESS);
        dr.setSpentTimeMills(3);
        body("ConsumeMessageDirectlyResult", dr);
        dr.setRemark("r");
        body("ConsumeMessageDirectlyResult", dr);
    }

    static void stats() {
        MessageQueue mq = new MessageQueue("TopicTest", "broker-a", 1);
        TopicStatsTable ts = new TopicStatsTable();
        TopicOffset to = new TopicOffset();
        to.setMaxOffset(5);
        to.setLastUpdateTimestamp(T);
        ts.getOffsetTable().put(mq, to);
        ts.setTopicPutTps(12345678.9);
        body("TopicStatsTable", ts);
        ConsumeStats cs = new ConsumeStats();
        cs.setConsumeTps(1.5);
        OffsetWrapper ow = new OffsetWrapper();
        ow.setBrokerOffset(10);
        ow.setConsumerOffset(8);
        ow.setPullOffset(9);
        ow.setLastTimestamp(1);
        cs.setOffsetTable(new HashMap<>(Map.of(mq, ow)));
        body("ConsumeStats", cs);
        ConsumeStatsList cl = new ConsumeStatsList();
        cl.setBrokerAddr("x");
        cl.setTotalDiff(2);
        cl.setConsumeStatsList(List.of(Map.of("CG", List.of(cs))));
        body("ConsumeStatsList", cl);
        Connection c = new Connection();
        c.setClientAddr("1.2.3.4:5");
        c.setClientId("cid");
        c.setLanguage(LanguageCode.JAVA);
        c.setVersion(479);
        ConsumerConnection cc = new ConsumerConnection();
        cc.setConnectionSet(new HashSet<>(List.of(c)));
        cc.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        cc.setConsumeType(ConsumeType.CONSUME_POP);
        cc.setMessageModel(MessageModel.CLUSTERING);
        cc.getSubscriptionTable().put("TopicTest", subscription());
        body("ConsumerConnection", cc);
        ProducerConnection pc = new ProducerConnection();
        pc.setConnectionSet(new HashSet<>(List.of(c)));
        body("ProducerConnection", pc);
        ProducerTableInfo pt = new ProducerTableInfo(new HashMap<>(Map.of("PG",
            List.of(new ProducerInfo("cid", "/1.2.3.4:5", LanguageCode.JAVA, 479, 1)))));
        body("ProducerTableInfo", pt);
        GroupList gl = new GroupList();
        gl.setGroupList(new HashSet<>(List.of("CG")));
        body("GroupList", gl);
        QuerySubscriptionResponseBody qs = new QuerySubscriptionResponseBody();
        qs.setGroup("g");
        qs.setTopic("t");
        body("QuerySubscriptionResponseBody", qs);
        qs.setSubscriptionData(subscription());
        body("QuerySubscriptionResponseBody", qs);
        QueueTimeSpan span = new QueueTimeSpan();
        span.setMessageQueue(mq);
        span.setMinTimeStamp(T);
        span.setMaxTimeStamp(T + 1);
        span.setConsumeTimeStamp(T);
        span.setDelayTime(5);
        QueryConsumeTimeSpanBody qt = new QueryConsumeTimeSpanBody();
        qt.setConsumeTimeSpanSet(List.of(span));
        body("QueryConsumeTimeSpanBody", qt);
        ConsumeQueueData qd = new ConsumeQueueData();
        qd.setPhysicOffset(1);
        qd.setPhysicSize(2);
        qd.setTagsCode(-3);
        QueryConsumeQueueResponseBody qq = new QueryConsumeQueueResponseBody();
        qq.setQueueData(List.of(qd));
        qq.setMaxQueueIndex(3);
        body("QueryConsumeQueueResponseBody", qq);
        BrokerStatsData bs = new BrokerStatsData();
        for (int i = 0; i < 3; i++) {
            BrokerStatsItem it = new BrokerStatsItem();
            it.setSum(i);
            it.setTps(i / 4.0);
            it.setAvgpt(1e7 * i);
            if (i == 0) bs.setStatsMinute(it);
            if (i == 1) bs.setStatsHour(it);
            if (i == 2) bs.setStatsDay(it);
        }
        body("BrokerStatsData", bs);
        ConsumerOffsetSerializeWrapper co = new ConsumerOffsetSerializeWrapper();
        co.setDataVersion(version());
        co.getOffsetTable().put("TopicTest@CG", new ConcurrentHashMap<>(Map.of(0, 5L, 1, 6L)));
        body("ConsumerOffsetSerializeWrapper", co);
    }

    static void offsets() {
        MessageQueue mq = new MessageQueue("TopicTest", "broker-a", 0);
        ResetOffsetBody ro = new ResetOffsetBody();
        ro.setOffsetTable(new HashMap<>(Map.of(mq, 7L)));
        body("ResetOffsetBody", ro);
        ResetOffsetBodyForC rc = new ResetOffsetBodyForC();
        MessageQueueForC qc = new MessageQueueForC("T", "b", 1, 7);
        rc.setOffsetTable(List.of(qc));
        body("ResetOffsetBodyForC", rc);
        GetConsumerStatusBody gs = new GetConsumerStatusBody();
        gs.setConsumerTable(new HashMap<>(Map.of("cid", Map.of(mq, 7L))));
        body("GetConsumerStatusBody", gs);
        BatchAck ba = new BatchAck();
        ba.setConsumerGroup("CG");
        ba.setTopic("T");
        ba.setRetry("0");
        ba.setStartOffset(100);
        ba.setQueueId(1);
        ba.setReviveQueueId(3);
        ba.setPopTime(1700000000000L);
        ba.setInvisibleTime(60000);
        BitSet bits = new BitSet();
        bits.set(0);
        bits.set(2);
        bits.set(9);
        ba.setBitSet(bits);
        BatchAckMessageRequestBody bb = new BatchAckMessageRequestBody();
        bb.setBrokerName("broker-a");
        bb.setAcks(List.of(ba));
        body("BatchAckMessageRequestBody", bb);
    }

    // frames writes whole frames as the Java server and clients send them.
    static void frames(String dir) throws Exception {
        try (PrintStream out = open(dir, "frames.txt")) {
            for (SerializeType st : SerializeType.values()) {
                SendMessageRequestHeader h = new SendMessageRequestHeader();
                h.setProducerGroup("PG");
                h.setTopic("TopicTest");
                h.setDefaultTopic("TBW102");
                h.setDefaultTopicQueueNums(4);
                h.setQueueId(2);
                h.setSysFlag(0);
                h.setBornTimestamp(T);
                h.setFlag(-1);
                h.setProperties("UNIQ_KEY\u00017F00000100002A9F00000000000F4240\u0002WAIT\u0001true\u0002");
                h.setReconsumeTimes(0);
                h.setUnitMode(false);
                h.setBatch(false);
                h.setBrokerName("broker-a");
                frame(out, st, "SendMessageRequestHeaderV2", RemotingCommand.createRequestCommand(310,
                    SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(h)), "body");
                h.setMaxReconsumeTimes(16);
                frame(out, st, "SendMessageRequestHeader", RemotingCommand.createRequestCommand(10, h), "body");
                RemotingCommand r = RemotingCommand.createResponseCommand(SendMessageResponseHeader.class);
                SendMessageResponseHeader rh = (SendMessageResponseHeader) r.readCustomHeader();
                rh.setMsgId("7F00000100002A9F00000000000F4240");
                rh.setQueueId(2);
                rh.setQueueOffset(1234567L);
                rh.setTransactionId("AC110002000A4E25154F5A2BC1D00001");
                r.setCode(0);
                r.setRemark(null);
                r.addExtField("MSG_REGION", "DefaultRegion");
                r.addExtField("TRACE_ON", "true");
                frame(out, st, "SendMessageResponseHeader", r, null);
                r = RemotingCommand.createResponseCommand(PullMessageResponseHeader.class);
                PullMessageResponseHeader ph = (PullMessageResponseHeader) r.readCustomHeader();
                ph.setSuggestWhichBrokerId(0L);
                ph.setNextBeginOffset(10L);
                ph.setMinOffset(0L);
                ph.setMaxOffset(11L);
                ph.setTopicSysFlag(0);
                ph.setGroupSysFlag(0);
                r.setCode(19);
                r.setRemark("NO_MATCHED_MESSAGE \"q\" \u4e2d");
                frame(out, st, "PullMessageResponseHeader", r, null);
                r = RemotingCommand.createRequestCommand(34, null);
                r.markOnewayRPC();
                frame(out, st, "none", r, "{}");
            }
        }
    }

    static void frame(PrintStream out, SerializeType st, String name, RemotingCommand c, String body) {
        c.setSerializeTypeCurrentRPC(st);
        c.setOpaque(77);
        c.setVersion(479);
        if (body != null) {
            c.setBody(body.getBytes(StandardCharsets.UTF_8));
        }
        ByteBuffer b = c.encode();
        byte[] bytes = new byte[b.remaining()];
        b.get(bytes);
        out.print(st + "\t" + name + "\t" + hex(bytes) + "\n");
    }

    static String hex(byte[] b) {
        StringBuilder s = new StringBuilder();
        for (byte x : b) {
            s.append(String.format("%02x", x));
        }
        return s.toString();
    }

    // forms writes one document compact and pretty.
    static void forms(String dir) throws Exception {
        TreeMap<String, Object> m = new TreeMap<>();
        m.put("array", Arrays.asList(1, "two", null, true, Arrays.asList(), new TreeMap<>(), Arrays.asList(Arrays.asList(1.5))));
        m.put("empty", new TreeMap<>());
        m.put("ints", new TreeMap<>(Map.of(3, 10L, -1, 7L)));
        m.put("none", new ArrayList<>());
        m.put("objectKeys", Map.of(new MessageQueue("T", "b", 1), Map.of("a", 1)));
        m.put("text", "tab\there");
        m.put("wrapper", wrapper());
        try (PrintStream out = open(dir, "compact.json")) {
            out.print(RemotingSerializable.toJson(m, false));
        }
        try (PrintStream out = open(dir, "pretty.json")) {
            out.print(RemotingSerializable.toJson(m, true));
        }
    }

    static void doubles(String dir) throws Exception {
        Random r = new Random(42);
        List<Double> all = new ArrayList<>(List.of(0.0, -0.0, 1.0, 0.001, 9.99e-4, 1e7, 9999999.999, 2e-3, 1e23, 4.9e-324,
            Double.MAX_VALUE, Double.MIN_NORMAL, 123456789.0, 1.0 / 3));
        for (int i = 0; i < 150; i++) {
            all.add(Double.longBitsToDouble(r.nextLong()));
            all.add(r.nextInt(100000000) / 1000.0);
            all.add(r.nextDouble() * Math.pow(10, r.nextInt(20) - 8));
        }
        try (PrintStream out = open(dir, "doubles.txt")) {
            for (Double d : all) {
                if (!d.isNaN()) {
                    out.print(Long.toHexString(Double.doubleToRawLongBits(d)) + "\t" + JSON.toJSONString(d) + "\n");
                }
            }
        }
    }

    // escapes writes every character of the basic plane that is not written as itself.
    static void escapes(String dir) throws Exception {
        try (PrintStream out = open(dir, "escapes.txt")) {
            for (int c = 0; c < 0x10000; c++) {
                if (c >= 0xd800 && c < 0xe000) {
                    continue;
                }
                String s = String.valueOf((char) c);
                String json = JSON.toJSONString(s);
                if (!json.equals("\"" + s + "\"")) {
                    out.print(Integer.toHexString(c) + "\t" + json + "\n");
                }
            }
        }
    }
}
