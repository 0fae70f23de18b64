import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import org.apache.rocketmq.common.filter.ExpressionType;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * Says what Java's SQL92 filter makes of expressions. Each line of the input is an expression and properties in their stored
 * form, each in Base64 and with a space between; each line of the output is the verdict, or "!" and the message of what the
 * compiler threw, in Base64.
 */
public class SqlOracle {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(System.out, false, "US-ASCII");
        for (String line; (line = in.readLine()) != null; ) {
            String[] parts = line.split(" ", -1);
            out.println(encode(judge(decode(parts[0]), decode(parts[1]))));
        }
        out.flush();
    }

    static String judge(String sql, String stored) {
        Expression e;
        try {
            e = FilterFactory.INSTANCE.get(ExpressionType.SQL92).compile(sql);
        } catch (Throwable t) {
            return "!" + t.getMessage();
        }
        final Map<String, String> props = MessageDecoder.string2messageProperties(stored);
        try {
            Object verdict = e.evaluate(new EvaluationContext() {
                @Override
                public Object get(String name) {
                    return props.get(name);
                }

                @Override
                public Map<String, Object> keyValues() {
                    return null;
                }
            });
            return String.valueOf(verdict);
        } catch (Throwable t) {
            return "error";
        }
    }

    static String decode(String s) {
        return new String(Base64.getDecoder().decode(s), StandardCharsets.UTF_8);
    }

    static String encode(String s) {
        return Base64.getEncoder().encodeToString(s.getBytes(StandardCharsets.UTF_8));
    }
}
