import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs mqadmin command lines of standard input, one after the other in one JVM. Usage: AdminBatch namesrv. What each prints follows
 * its line, behind "=== ". A command line that mqadmin does not understand would end the JVM.
 */
public class AdminBatch {
    public static void main(String[] a) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", a[0]);
        PrintStream real = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            PrintStream to = new PrintStream(said, true);
            System.setOut(to);
            System.setErr(to);
            try {
                MQAdminStartup.main0(line.trim().split(" +"), null);
            } catch (Throwable t) {
                t.printStackTrace(to);
            }
            real.println("=== " + line);
            real.write(said.toByteArray());
            real.println();
            real.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
