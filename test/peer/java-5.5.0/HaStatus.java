import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.remoting.protocol.body.HARuntimeInfo;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** How replication goes, as mqadmin's haStatus asks. Usage: HaStatus namesrv broker */
public class HaStatus {
    public static void main(String[] a) throws Exception {
        DefaultMQAdminExt t = new DefaultMQAdminExt(30_000);
        t.setNamesrvAddr(a[0]);
        t.setInstanceName("ha");
        t.start();
        HARuntimeInfo i = t.getBrokerHAStatus(a[1]);
        Map<String, Object> out = new TreeMap<>();
        out.put("action", "hastatus");
        out.put("master", i.isMaster());
        out.put("inSync", i.getInSyncSlaveNums());
        out.put("slaves", i.getHaConnectionInfo().size());
        out.put("behind", i.getHaConnectionInfo().stream().mapToLong(c -> c.getDiff()).sum());
        out.put("end", i.getMasterCommitLogMaxOffset());
        out.put("acked", i.getHaConnectionInfo().stream().mapToLong(c -> c.getSlaveAckOffset()).sum());
        out.put("follows", String.valueOf(i.getHaClientRuntimeInfo().getMasterAddr()));
        out.put("has", i.getHaClientRuntimeInfo().getMaxOffset());
        t.shutdown();
        Result.print(out);
        System.exit(0);
    }
}
