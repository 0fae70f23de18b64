import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.TypeReference;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Proxy;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.apache.rocketmq.auth.authentication.AuthenticationEvaluator;
import org.apache.rocketmq.auth.authentication.context.AuthenticationContext;
import org.apache.rocketmq.auth.authentication.enums.UserStatus;
import org.apache.rocketmq.auth.authentication.enums.UserType;
import org.apache.rocketmq.auth.authentication.factory.AuthenticationFactory;
import org.apache.rocketmq.auth.authentication.model.Subject;
import org.apache.rocketmq.auth.authentication.model.User;
import org.apache.rocketmq.auth.authentication.provider.AuthenticationMetadataProvider;
import org.apache.rocketmq.auth.authorization.AuthorizationEvaluator;
import org.apache.rocketmq.auth.authorization.context.AuthorizationContext;
import org.apache.rocketmq.auth.authorization.context.DefaultAuthorizationContext;
import org.apache.rocketmq.auth.authorization.factory.AuthorizationFactory;
import org.apache.rocketmq.auth.authorization.model.Acl;
import org.apache.rocketmq.auth.authorization.provider.AuthorizationMetadataProvider;
import org.apache.rocketmq.auth.config.AuthConfig;
import org.apache.rocketmq.broker.auth.converter.AclConverter;
import org.apache.rocketmq.common.action.Action;
import org.apache.rocketmq.common.action.RocketMQAction;
import org.apache.rocketmq.common.resource.RocketMQResource;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.annotation.CFNotNull;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestHeaderRegistry;
import org.apache.rocketmq.remoting.protocol.body.AclInfo;

/**
 * What Java's own evaluators decide. "table" prints which resources each request code needs, as the annotations say it; without
 * arguments each line of stdin is a case and each line of stdout its verdict.
 *
 * <p>A case: user type, user status, source address, request code, version, then base64 of: the policies as AclInfo, the ext fields as
 * JSON, the body. A verdict: base64 of the lines authentication, authorization, and one for each resource with its actions.
 */
public class AclOracle {
    static User user;
    static Acl acl;

    public static class Users implements AuthenticationMetadataProvider {
        @Override public void initialize(AuthConfig c, Supplier<?> s) { }
        @Override public void shutdown() { }
        @Override public CompletableFuture<Void> createUser(User u) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<Void> deleteUser(String n) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<Void> updateUser(User u) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<List<User>> listUser(String f) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<User> getUser(String name) {
            return CompletableFuture.completedFuture(user.getUsername().equals(name) ? user : null);
        }
    }

    public static class Acls implements AuthorizationMetadataProvider {
        @Override public void initialize(AuthConfig c, Supplier<?> s) { }
        @Override public void shutdown() { }
        @Override public CompletableFuture<Void> createAcl(Acl a) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<Void> deleteAcl(Subject s) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<Void> updateAcl(Acl a) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<List<Acl>> listAcl(String s, String r) { throw new UnsupportedOperationException(); }
        @Override public CompletableFuture<Acl> getAcl(Subject s) { return CompletableFuture.completedFuture(acl); }
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        System.setOut(System.err);
        RequestHeaderRegistry.getInstance().initialize();
        if (args.length > 0) {
            table(out);
        } else {
            judge(out);
        }
        out.flush();
        System.exit(0);
    }

    @SuppressWarnings("unchecked")
    static void table(PrintStream out) throws Exception {
        Field f = RequestHeaderRegistry.class.getDeclaredField("requestHeaderMap");
        f.setAccessible(true);
        Map<Integer, Class<? extends CommandCustomHeader>> all = (Map<Integer, Class<? extends CommandCustomHeader>>) f.get(RequestHeaderRegistry.getInstance());
        for (Map.Entry<Integer, Class<? extends CommandCustomHeader>> e : new TreeMap<>(all).entrySet()) {
            RocketMQAction a = e.getValue().getAnnotation(RocketMQAction.class);
            List<String> actions = new ArrayList<>();
            for (Action x : a.action()) {
                actions.add(x.getName());
            }
            StringBuilder fields = new StringBuilder();
            for (Field x : e.getValue().getDeclaredFields()) {
                RocketMQResource r = x.getAnnotation(RocketMQResource.class);
                if (r != null) {
                    fields.append("\t").append(x.getName()).append(" ").append(r.value().getName()).append(" ")
                        .append(x.getAnnotation(CFNotNull.class) != null ? "req" : "opt").append(r.splitter().isEmpty() ? "" : " " + r.splitter());
                }
            }
            for (Class<?> k = e.getValue(); k != Object.class; k = k.getSuperclass()) {
                for (Field x : k.getDeclaredFields()) {
                    if (x.getAnnotation(CFNotNull.class) != null) {
                        fields.append("\t!").append(x.getName()).append(" ").append(x.getType().getSimpleName());
                    }
                }
            }
            out.println(e.getKey() + "\t" + e.getValue().getSimpleName() + "\t" + a.resource() + "\t" + String.join(",", actions) + fields);
        }
    }

    static byte[] text(String s) {
        return s.equals("-") ? null : Base64.getDecoder().decode(s);
    }

    static void judge(PrintStream out) throws Exception {
        AuthConfig c = new AuthConfig();
        c.setConfigName("oracle");
        c.setClusterName("DefaultCluster");
        c.setAuthenticationEnabled(true);
        c.setAuthorizationEnabled(true);
        c.setAuthenticationMetadataProvider(Users.class.getName());
        c.setAuthorizationMetadataProvider(Acls.class.getName());
        AuthenticationEvaluator who = AuthenticationFactory.getEvaluator(c);
        AuthorizationEvaluator may = AuthorizationFactory.getEvaluator(c);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] p = line.split(" ");
            user = User.of("alice", "secret-of-alice", UserType.getByName(p[0]));
            user.setUserStatus(UserStatus.getByName(p[1]));
            byte[] policies = text(p[5]);
            acl = policies == null ? null : AclConverter.convertAcl((AclInfo) JSON.parseObject(policies, AclInfo.class));
            RemotingCommand r = RemotingCommand.createRequestCommand(Integer.parseInt(p[3]), null);
            r.setVersion(Integer.parseInt(p[4]));
            byte[] ext = text(p[6]);
            r.setExtFields(ext == null ? null : JSON.parseObject(new String(ext, StandardCharsets.UTF_8), new TypeReference<HashMap<String, String>>() { }));
            r.setBody(text(p[7]));
            ChannelHandlerContext ctx = context(p[2]);
            List<String> say = new ArrayList<>();
            try {
                AuthenticationContext a = AuthenticationFactory.newContext(c, ctx, r);
                who.evaluate(a);
                say.add("ok");
            } catch (Throwable t) {
                say.add(t.getMessage());
            }
            try {
                List<AuthorizationContext> all = AuthorizationFactory.newContexts(c, ctx, r);
                StringBuilder needs = new StringBuilder();
                for (AuthorizationContext x : all) {
                    DefaultAuthorizationContext d = (DefaultAuthorizationContext) x;
                    needs.append("\n").append(d.getResource().getResourceKey());
                    for (Action y : d.getActions()) {
                        needs.append(" ").append(y.getName());
                    }
                }
                String verdict = "ok";
                try {
                    may.evaluate(all);
                } catch (Throwable t) {
                    verdict = t.getMessage();
                }
                say.add(verdict + needs);
            } catch (Throwable t) {
                say.add(t.getMessage());
            }
            out.println(Base64.getEncoder().encodeToString(String.join("\n", say).getBytes(StandardCharsets.UTF_8)));
        }
    }

    static ChannelHandlerContext context(String ip) {
        EmbeddedChannel channel = new EmbeddedChannel() {
            @Override public SocketAddress remoteAddress() {
                return new InetSocketAddress(ip, 40000);
            }
        };
        return (ChannelHandlerContext) Proxy.newProxyInstance(AclOracle.class.getClassLoader(), new Class<?>[] {ChannelHandlerContext.class},
            (proxy, m, args) -> m.getName().equals("channel") ? channel : null);
    }
}
