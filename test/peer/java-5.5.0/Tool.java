import java.util.Map;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.body.ConsumeMessageDirectlyResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What mqadmin and the console ask about a consumer. Usage: Tool namesrv topic group brokerAddr msgId */
public class Tool {
    public static void main(String[] a) throws Exception {
        String topic = a[1], group = a[2], broker = a[3], msgId = a[4];
        DefaultMQAdminExt t = new DefaultMQAdminExt(30_000);
        t.setNamesrvAddr(a[0]);
        t.setInstanceName("tool");
        t.start();
        StringBuilder b = new StringBuilder("{\"action\":\"tool\"");
        ConsumerConnection cc = t.examineConsumerConnectionInfo(group);
        String id = cc.getConnectionSet().iterator().next().getClientId();
        b.append(",\"connections\":").append(cc.getConnectionSet().size());
        b.append(",\"subscriptions\":").append(cc.getSubscriptionTable().size());
        ConsumerRunningInfo info = t.getConsumerRunningInfo(group, id, true);
        b.append(",\"running\":").append(info.getMqTable().size()).append(",\"stacks\":").append(info.getJstack() != null);
        b.append(",\"own\":").append(info.getSubscriptionSet().size());
        ConsumeMessageDirectlyResult r = t.consumeMessageDirectly(group, id, topic, msgId);
        b.append(",\"direct\":\"").append(r.getConsumeResult()).append('"');
        ConsumeStats st = t.examineConsumeStats(group);
        b.append(",\"diff\":").append(st.computeTotalDiff()).append(",\"queues\":").append(st.getOffsetTable().size());
        b.append(",\"stored\":").append(t.examineTopicStats(topic).getOffsetTable().values().stream().mapToLong(x -> x.getMaxOffset()).sum());
        b.append(",\"who\":").append(t.queryTopicConsumeByWho(topic).getGroupList().contains(group));
        b.append(",\"spans\":").append(t.queryConsumeTimeSpan(topic, group).size());
        b.append(",\"units\":").append(t.queryConsumeQueue(broker, topic, 0, 0, 5, group).getQueueData().size());
        b.append(",\"subscribed\":\"").append(t.querySubscription(group, topic).getSubString()).append('"');
        Map<String, Map<MessageQueue, Long>> status = t.getConsumeStatus(topic, group, id);
        b.append(",\"status\":").append(status.get(id).size());
        t.cloneGroupOffset(group, group + "_clone", topic, true);
        Map<MessageQueue, Long> reset = t.resetOffsetByTimestamp(topic, group, 1, true);
        b.append(",\"reset\":").append(reset.size()).append(",\"to\":").append(reset.values().stream().mapToLong(x -> x).sum());
        t.shutdown();
        System.out.println(b.append('}'));
        System.exit(0);
    }
}
