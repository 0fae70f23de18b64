import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/** Runs the class that the first argument names, and ends the process when that fails: threads of a client would keep it. */
public class Run {
    public static void main(String[] a) {
        try {
            Class.forName(a[0]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(a, 1, a.length));
        } catch (InvocationTargetException e) {
            e.getCause().printStackTrace();
            System.exit(1);
        } catch (ReflectiveOperationException e) {
            e.printStackTrace();
            System.exit(1);
        }
    }
}
