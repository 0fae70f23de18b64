package nameserver

import (
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
)

// decodeBody reads the body of a registration into g. Texts of g may share memory with the whole body; what the table
// keeps is cloned there.
func decodeBody(g *registration, body []byte, compressed bool, version int32) error {
	var b protocol.RegisterBrokerBody
	switch {
	case len(body) == 0:
	case version < protocol.Version3_0_11:
		// Brokers of that age send the topics alone and say nothing about filter servers.
		if err := b.Topics.Decode(body); err != nil {
			return err
		}
		g.fill(&b)
		return nil
	case compressed:
		if err := b.DecodeCompressed(body, version); err != nil {
			return err
		}
	default:
		if err := b.Decode(body); err != nil {
			return err
		}
	}
	g.fill(&b)
	g.filters = append([]string{}, b.FilterServerList...)
	return nil
}

func (g *registration) fill(b *protocol.RegisterBrokerBody) {
	g.version = b.Topics.DataVersion
	g.topics = make([]topicEntry, 0, len(b.Topics.TopicConfigTable))
	for i := range b.Topics.TopicConfigTable {
		t := &b.Topics.TopicConfigTable[i]
		if t.TopicName == "" {
			continue
		}
		g.topics = append(g.topics, topicEntry{
			name: t.TopicName, read: t.ReadQueueNums, write: t.WriteQueueNums, perm: t.Perm, sysFlag: t.TopicSysFlag,
		})
	}
	for _, m := range b.Topics.TopicQueueMappingInfoMap {
		m.Topic, m.BrokerName, m.Scope = strings.Clone(m.Topic), strings.Clone(m.BrokerName), strings.Clone(m.Scope)
		g.mappings = append(g.mappings, m)
	}
}
