package config

import (
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const queueUnit = 20 // bytes of an entry in a queue file

// validateBroker checks what one tag cannot say, and corrects what Java corrects silently, with a notice.
func (l *loader) validateBroker(c *Broker, set settings) {
	bad := func(key, value, allowed string) { l.bad(key, entry{value, set.source(key)}, allowed) }
	required := map[string]string{
		"brokerClusterName": c.Identity.Cluster, "brokerName": c.Identity.Name, "brokerIP1": c.Identity.IP1,
		"storePathRootDir": c.Store.Root, "bindAddress": c.Listen.Address,
	}
	for _, k := range slices.Sorted(maps.Keys(required)) {
		if required[k] == "" {
			bad(k, "", "it must not be empty")
		}
	}
	for _, k := range []string{"brokerName", "brokerClusterName"} {
		if v := required[k]; !validName(v) {
			bad(k, v, "no spaces and none of / \\ ; , : @ #")
		}
	}
	l.checkRole(c, set)
	l.checkControl(c, set)
	l.checkAuth(&c.Auth, filepath.Join(c.Store.Root, "auth"), c.Process.Home, c.Control.On || c.Replica.Acting || c.Identity.Role == RoleSlave, set)
	l.checkMetrics(&c.Metrics, set)
	l.checkTLS(&c.TLS, set)
	l.checkGRPC(&c.GRPC, set)
	if c.Replica.TLS && c.TLS.Mode == TLSDisabled {
		bad("tls.ha.enable", "true", "false with tls.server.mode = disabled")
	}
	l.checkLogLevels(c.Process.LogLevels, set)
	l.checkQuotas(&c.Quotas, set)
	l.checkMQTT(c, set)
	for _, a := range c.Routes.NameServers {
		if !validAddr(a) {
			bad("namesrvAddr", a, `name servers as host:port, separated by ";", such as 127.0.0.1:9876;192.168.0.1:9876`)
		}
	}
	clamp(l, set, "registerNameServerPeriod", &c.Routes.Period, 10*time.Second, time.Minute, time.Millisecond)
	clamp(l, set, "diskMaxUsedSpaceRatio", &c.Store.DiskMaxUsed, 10, 95, 1)
	clamp(l, set, "diskSpaceCleanForciblyRatio", &c.Store.ForceClean, 30, 85, 1)
	clamp(l, set, "diskSpaceWarningLevelRatio", &c.Store.Warning, 35, 90, 1)
	if r := c.Store.QueueFileSize % queueUnit; r != 0 {
		c.Store.QueueFileSize += queueUnit - r
		l.notice(slog.LevelWarn, "mappedFileSizeConsumeQueue", set.source("mappedFileSizeConsumeQueue"),
			"rounded up to %d, a multiple of %d", c.Store.QueueFileSize, queueUnit)
	}
	for h := range strings.SplitSeq(c.Store.DeleteWhen, ";") {
		if n, err := strconv.Atoi(strings.TrimSpace(h)); err != nil || n < 0 || n > 23 {
			bad("deleteWhen", c.Store.DeleteWhen, `hours from 00 to 23, separated by ";"`)
			break
		}
	}
	if c.Listen.HAPort == 0 && c.Listen.Port > 0 && c.Listen.Port < 65535 {
		c.Listen.HAPort = c.Listen.Port + 1
	}
	if levels, err := parseDelayLevels(c.Delay.Levels); err != nil || len(levels) == 0 {
		bad("messageDelayLevel", c.Delay.Levels, "numbers with s, m, h or d, separated by spaces, such as 1s 5s 1m 2h")
	}
	l.checkPaths(c, set)
}

func (l *loader) checkPaths(c *Broker, set settings) {
	if c.Store.CommitLog == "" {
		c.Store.CommitLog = filepath.Join(c.Store.Root, "commitlog")
	}
	t := &c.Control
	if t.Identity == "" {
		t.Identity = filepath.Join(c.Store.Root, "brokerIdentity")
	}
	if t.Epochs == "" {
		t.Epochs = filepath.Join(c.Store.Root, "epochFileCheckpoint")
	}
	if strings.Contains(c.Store.CommitLog, ",") {
		l.bad("storePathCommitLog", entry{c.Store.CommitLog, set.source("storePathCommitLog")}, "refused, a commit log over several folders is not supported: name one")
	}
	for k, p := range map[string]*string{
		"storePathRootDir": &c.Store.Root, "storePathCommitLog": &c.Store.CommitLog, "storePathBrokerIdentity": &t.Identity, "storePathEpochFile": &t.Epochs,
	} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			l.bad(k, entry{*p, set.source(k)}, "a path: "+err.Error())
			continue
		}
		*p = abs
	}
}

func (l *loader) validateNamesrv(c *Namesrv, set settings) {
	l.checkMetrics(&c.Metrics, set)
	l.checkTLS(&c.TLS, set)
	l.checkAuth(&c.Auth, filepath.Join(filepath.Dir(c.KVPath), "auth"), c.Home, false, set)
	l.checkLogLevels(c.LogLevels, set)
	l.checkProxies(c.Bounds.Proxies, set)
	if c.Address == "" {
		l.bad("bindAddress", entry{"", set.source("bindAddress")}, "it must not be empty")
	}
	if c.ClusterTest {
		l.bad("clusterTest", entry{"true", set.source("clusterTest")}, "refused, asking another name server is not supported")
	}
}

// clamp puts a value into the range that Java uses whatever the file says.
func clamp[T ~int | ~int64](l *loader, set settings, key string, v *T, lo, hi, unit T) {
	if *v >= lo && *v <= hi {
		return
	}
	was := *v
	*v = max(lo, min(hi, was))
	l.notice(slog.LevelWarn, key, set.source(key), "%d is outside of %d to %d, %d is used", was/unit, lo/unit, hi/unit, *v/unit)
}

// validName reports whether s can stand in paths and in lists of names.
func validName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune("/\\;,:@#", r) })
}

func validAddr(a string) bool {
	if ap, err := netip.ParseAddrPort(a); err == nil {
		return ap.Port() != 0
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || strings.ContainsAny(host, " /,") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
