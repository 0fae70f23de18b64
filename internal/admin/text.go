package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// double prints a number as Java's Double.toString does for the sizes that occur here.
func double(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// Java's forms of times.
func seconds(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04:05") }

func millis(ms int64) string {
	t := time.UnixMilli(ms)
	return fmt.Sprintf("%s,%03d", t.Format("2006-01-02 15:04:05"), t.Nanosecond()/1e6)
}

// permText is Java's RW- form.
func permText(p mq.Perm) string {
	b := []byte("---")
	if p.Readable() {
		b[0] = 'R'
	}
	if p.Writable() {
		b[1] = 'W'
	}
	if p&mq.PermInherit != 0 {
		b[2] = 'X'
	}
	return string(b)
}

// mapText is how Java prints a map.
func mapText(m map[string]string) string {
	list := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return "{" + strings.Join(list, ", ") + "}"
}

func topicText(t *mq.TopicConfig) string {
	filter := t.Filter
	if filter == "" {
		filter = "SINGLE_TAG"
	}
	return fmt.Sprintf("TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=%s, topicFilterType=%s, topicSysFlag=%d, order=%t, attributes=%s]",
		t.Name, t.ReadQueues, t.WriteQueues, permText(t.Perm), filter, t.SysFlag, t.Order, mapText(t.Attributes))
}

const defaultPolicyText = "GroupRetryPolicy{type=CUSTOMIZED, exponentialRetryPolicy=null, customizedRetryPolicy=null}"

func policyText(raw []byte) string {
	if raw == nil || string(raw) == `{"type":"CUSTOMIZED"}` {
		return defaultPolicyText
	}
	return string(raw)
}

func groupText(g *mq.GroupConfig) string {
	subs := "null"
	if g.SubscriptionData != nil {
		subs = string(g.SubscriptionData)
	}
	return fmt.Sprintf("SubscriptionGroupConfig{groupName=%s, consumeEnable=%t, consumeFromMinEnable=%t, consumeBroadcastEnable=%t, consumeMessageOrderly=%t, "+
		"retryQueueNums=%d, retryMaxTimes=%d, groupRetryPolicy=%s, brokerId=%d, whichBrokerWhenConsumeSlowly=%d, notifyConsumerIdsChangedEnable=%t, "+
		"groupSysFlag=%d, consumeTimeoutMinute=%d, subscriptionDataSet=%s, attributes=%s}",
		g.Name, g.ConsumeEnable, g.ConsumeFromMinEnable, g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, g.RetryQueues, g.RetryMaxTimes,
		policyText(g.RetryPolicy), g.BrokerID, g.WhichBrokerWhenSlow, g.NotifyConsumerIDsChanged, g.SysFlag, g.ConsumeTimeoutMinutes,
		subs, mapText(g.Attributes))
}

// attributes reads +a=b,-c; the signs stay.
func attributes(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	m := map[string]string{}
	for kv := range strings.SplitSeq(s, ",") {
		kv = strings.TrimSpace(kv)
		k, v, has := strings.Cut(kv, "=")
		if len(k) < 2 || k[0] != '+' && k[0] != '-' || (k[0] == '+') != has {
			return nil, usage("attribute %q: want +key=value or -key", kv)
		}
		m[k] = v
	}
	return m, nil
}
