package grpcapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// attrType is the attribute of a topic that says what it takes.
const attrType = "message.type"

// typeMixed takes everything but what needs a topic of its own.
const typeMixed = "MIXED"

var typeNames = map[string]v2.MessageType{
	"NORMAL": v2.MessageType_NORMAL, "FIFO": v2.MessageType_FIFO, "DELAY": v2.MessageType_DELAY, "TRANSACTION": v2.MessageType_TRANSACTION,
	"LITE": v2.MessageType_LITE, "PRIORITY": v2.MessageType_PRIORITY, "": v2.MessageType_NORMAL,
}

// typesOf is what a topic takes.
func typesOf(t *mq.TopicConfig) []v2.MessageType {
	name := t.Attributes[attrType]
	if name == typeMixed {
		return []v2.MessageType{v2.MessageType_NORMAL, v2.MessageType_FIFO, v2.MessageType_DELAY, v2.MessageType_TRANSACTION}
	}
	return []v2.MessageType{typeNames[name]}
}

// typeNameOf is Java's name of what a topic takes.
func typeNameOf(t *mq.TopicConfig) string {
	name := t.Attributes[attrType]
	if name == "" {
		return "NORMAL"
	}
	return name
}

// kindOf is what a message is. As in Java that follows from its properties, not from what it says.
func kindOf(p *v2.SystemProperties) v2.MessageType {
	switch {
	case p.GetMessageType() == v2.MessageType_TRANSACTION:
		return v2.MessageType_TRANSACTION
	case p.DeliveryTimestamp != nil:
		return v2.MessageType_DELAY
	case p.GetMessageGroup() != "":
		return v2.MessageType_FIFO
	case p.Priority != nil:
		return v2.MessageType_PRIORITY
	case p.GetLiteTopic() != "":
		return v2.MessageType_LITE
	}
	return v2.MessageType_NORMAL
}

// checkKind refuses a message that its topic does not take. Only the first one of a request is looked at, as in Java.
func checkKind(t *mq.TopicConfig, got v2.MessageType) error {
	want := typeNameOf(t)
	if want == typeMixed || want == got.String() {
		return nil
	}
	return errKind(want, got.String())
}

func errKind(want, got string) error {
	return refuse(v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, "TopicMessageType validate failed, the expected type is %s, but actual type is %s", want, got)
}
