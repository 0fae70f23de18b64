import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Collections;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/**
 * Lists the typed headers of the real RocketMQ classes with their fields: class, then key:type for each field that the
 * class declares itself. internal/protocol/headers.tsv is held to it.
 */
public class GoldenHeaders {
    public static void main(String[] args) throws Exception {
        TreeSet<String> names = new TreeSet<>();
        try (JarFile jar = new JarFile(args[1])) {
            for (JarEntry e : Collections.list(jar.entries())) {
                if (e.getName().endsWith(".class") && e.getName().contains("/header/")) {
                    names.add(e.getName().replace('/', '.').replace(".class", ""));
                }
            }
        }
        Class<?> base = Class.forName("org.apache.rocketmq.remoting.CommandCustomHeader");
        TreeSet<String> lines = new TreeSet<>();
        for (String name : names) {
            Class<?> c = Class.forName(name);
            if (!base.isAssignableFrom(c) || Modifier.isAbstract(c.getModifiers())) {
                continue;
            }
            StringBuilder line = new StringBuilder(c.getSimpleName());
            for (Field f : c.getDeclaredFields()) {
                if (!Modifier.isStatic(f.getModifiers())) {
                    line.append('\t').append(f.getName()).append(':').append(f.getType().getSimpleName());
                }
            }
            if (line.indexOf("\t") > 0) {
                lines.add(line.toString());
            }
        }
        try (PrintStream out = new PrintStream(args[0] + "/headers.txt", "UTF-8")) {
            for (String line : lines) {
                out.print(line + "\n");
            }
        }
    }
}
