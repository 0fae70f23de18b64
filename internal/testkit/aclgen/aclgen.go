// Package aclgen makes policies and requests, to compare decisions about them with those of Java.
package aclgen

import (
	_ "embed" // the table
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
)

// JavaNeeds is what the annotations of Java's headers say: code, class, kind, actions, then "field kind req|opt [separator]" for
// resources and "!field type" for what must not be missing.
//
//go:embed testdata/java/5.5.0/needs.tsv
var JavaNeeds string

// Who sends the requests.
const (
	UserName = "alice"
	Secret   = "secret-of-alice"
	Cluster  = "DefaultCluster"
)

// Case is one request of one user with policies.
type Case struct {
	Super, Disabled bool
	From            string // address
	Code, Version   int32
	ACL             *protocol.ACLInfo // nil: none
	Fields          map[string]string // with the signature
	Body            []byte
}

// FieldList are the fields in the order of their keys.
func (c *Case) FieldList() protocol.Fields {
	var f protocol.Fields
	for _, k := range slices.Sorted(maps.Keys(c.Fields)) {
		f = append(f, protocol.Field{Key: []byte(k), Val: []byte(c.Fields[k])})
	}
	return f
}

// special are the codes that are treated in their own way.
var special = []int32{10, 310, 310, 310, 320, 11, 11, 12, 14, 15, 34, 34, 35, 36, 37, 38, 41, 42, 105, 370}

type maker struct {
	*rand.Rand
	codes []int32
	must  map[int32]map[string]string // field to type
	names map[int32]map[string]string // field to kind
}

// Cases returns n cases; the same for the same seed.
func Cases(seed uint64, n int) []Case {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 7)), must: map[int32]map[string]string{}, names: map[int32]map[string]string{}}
	for line := range strings.Lines(JavaNeeds) {
		m.learn(strings.Split(strings.TrimSpace(line), "\t"))
	}
	cases := make([]Case, n)
	for i := range cases {
		cases[i] = m.one()
	}
	return cases
}

func (m *maker) learn(p []string) {
	n, err := strconv.ParseInt(p[0], 10, 32)
	if err != nil {
		panic(err)
	}
	code := int32(n)
	m.codes = append(m.codes, code)
	m.must[code], m.names[code] = map[string]string{}, map[string]string{}
	for _, f := range p[4:] {
		q := strings.Split(f, " ")
		if name, ok := strings.CutPrefix(q[0], "!"); ok {
			m.must[code][name] = q[1]
		} else {
			m.names[code][q[0]] = q[1]
		}
	}
}

func pick[T any](m *maker, list ...T) T { return list[m.IntN(len(list))] }

func (m *maker) topic() string {
	return pick(m, "orders", "orders", "orders-eu", "orders-eu-1", "pay", "%RETRY%g1", "%RETRY%g1-x", "ord", "%DLQ%g1")
}

func (m *maker) group() string { return pick(m, "g1", "g1", "g1-x", "g2", "%RETRY%g1", "g") }

func (m *maker) one() Case {
	c := Case{From: pick(m, "10.1.2.3", "10.1.2.3", "10.9.9.9", "192.168.1.1", "fd00::1"), Version: pick[int32](m, 399, 479), Fields: map[string]string{}}
	c.Super, c.Disabled = m.IntN(40) == 0, m.IntN(60) == 0
	if c.Code = pick(m, m.codes...); m.IntN(2) == 0 {
		c.Code = pick(m, special...)
	}
	c.ACL = m.acl()
	m.fields(&c)
	switch c.Code {
	case 34:
		d := protocol.HeartbeatData{ClientID: "c", Producers: []string{"p"}}
		for range m.IntN(3) {
			d.Consumers = append(d.Consumers, protocol.ConsumerData{
				GroupName: m.group(), ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", ConsumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
				SubscriptionDataSet: []protocol.SubscriptionData{{Topic: m.topic(), SubString: "*", ExpressionType: "TAG"}},
			})
		}
		c.Body = d.AppendTo(nil, false)
	case 41, 42:
		b := protocol.LockBatchRequestBody{ConsumerGroup: m.group(), ClientID: "c"}
		if m.IntN(4) > 0 {
			b.MQSet = []protocol.MessageQueue{{Topic: m.topic(), BrokerName: "b"}}
		}
		c.Body = b.AppendTo(nil, false)
	case 10, 310, 320:
		c.Body = []byte("hello " + strconv.Itoa(m.IntN(1000)))
	}
	m.sign(&c)
	return c
}

func (m *maker) fields(c *Case) {
	for _, name := range slices.Sorted(maps.Keys(m.must[c.Code])) {
		switch m.must[c.Code][name] {
		case "String":
			c.Fields[name] = "x" + strconv.Itoa(m.IntN(3))
			if name == "topicFilterType" {
				c.Fields[name] = "SINGLE_TAG"
			}
		case "Boolean", "boolean":
			c.Fields[name] = "true"
		default:
			c.Fields[name] = strconv.Itoa(m.IntN(9))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.names[c.Code])) {
		if _, must := m.must[c.Code][name]; !must && m.IntN(3) == 0 {
			continue
		}
		c.Fields[name] = m.name(m.names[c.Code][name])
	}
	switch c.Code {
	case 10:
		if m.IntN(2) == 0 {
			c.Fields["group"] = m.group()
		}
	case 320:
		c.Fields = map[string]string{"a": m.group(), "b": m.topic()}
	case 105:
		c.Fields = map[string]string{"topic": m.topic()}
	case 208, 308:
		for k, v := range c.Fields {
			if k == "topicList" {
				c.Fields[k] = v + ";" + "pay;;"
			}
			if k == "filterGroups" {
				c.Fields[k] = v + ",g2"
			}
		}
	}
	if m.IntN(10) == 0 {
		c.Fields["_UNIQUE_KEY_QUERY"] = "true"
	}
}

func (m *maker) name(kind string) string {
	switch kind {
	case "Topic":
		return m.topic()
	case "Group":
		return m.group()
	}
	return pick(m, Cluster, "Other")
}

// sign signs most requests well.
func (m *maker) sign(c *Case) {
	cr := auth.Credentials{AccessKey: UserName, SecretKey: Secret}
	switch m.IntN(40) {
	case 0:
		return // by nobody
	case 1:
		cr.AccessKey = "nobody"
	case 2:
		cr.SecretKey = "guess"
	case 3:
		cr.SecurityToken = "token"
	}
	unique, asked := c.Fields["_UNIQUE_KEY_QUERY"]
	if c.Version <= protocol.Version4_9_3 {
		delete(c.Fields, "_UNIQUE_KEY_QUERY") // such clients add it after signing
	}
	for _, f := range cr.Sign(c.FieldList(), c.Body) {
		c.Fields[string(f.Key)] = string(f.Val)
	}
	if asked {
		c.Fields["_UNIQUE_KEY_QUERY"] = unique
	}
	if m.IntN(60) == 0 {
		delete(c.Fields, auth.FieldSignature)
	}
}

func (m *maker) acl() *protocol.ACLInfo {
	if m.IntN(12) == 0 {
		return nil
	}
	a := &protocol.ACLInfo{Subject: "User:" + UserName}
	for range 1 + m.IntN(3) {
		p := protocol.PolicyInfo{PolicyType: pick(m, "Custom", "Custom", "Default", "custom")}
		for range 1 + m.IntN(5) {
			p.Entries = append(p.Entries, m.entry())
		}
		a.Policies = append(a.Policies, p)
	}
	return a
}

func (m *maker) entry() protocol.PolicyEntryInfo {
	e := protocol.PolicyEntryInfo{Decision: pick(m, "Allow", "Allow", "Deny", "allow", "DENY")}
	switch m.IntN(10) {
	case 0:
		e.Resource = "*"
	case 1:
		e.Resource = pick(m, "Cluster:"+Cluster, "Cluster:*", "Cluster:Def*", "Namespace:*")
	case 2, 3:
		e.Resource = "Group:" + pick(m, "*", "g*", "g1*", "g1")
	case 4, 5:
		e.Resource = fmt.Sprintf("Group:%s", m.group())
	case 6:
		e.Resource = pick(m, "Any:orders", "Any:*", "topic:orders", "TOPIC:ord*")
	case 7:
		e.Resource = "Topic:" + m.topic()
	default:
		e.Resource = "Topic:" + pick(m, "*", "o*", "ord*", "orders*", "orders-*", "orders")
	}
	for range 1 + m.IntN(3) {
		e.Actions = append(e.Actions, pick(m, "All", "Pub", "Sub", "Pub", "Sub", "Create", "Update", "Delete", "Get", "Get", "List", "pub"))
	}
	if m.IntN(3) == 0 {
		for range 1 + m.IntN(2) {
			e.SourceIPs = append(e.SourceIPs, pick(m, "10.1.2.3", "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "192.168.1.1", "fd00::/8", "10.1.2.3/32", "10.1.2.128/25"))
		}
	}
	return e
}
