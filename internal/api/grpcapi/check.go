package grpcapi

import (
	"strings"
	"time"

	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// checkMessage checks one message of a SendMessage, in Java's order.
func (l *Limits) checkMessage(m *v2.Message, now time.Time) error {
	switch n := len(m.GetBody()); {
	case n == 0 && !l.AllowEmptyBody:
		return refuse(v2.Code_MESSAGE_BODY_EMPTY, "message body cannot be empty")
	case n > l.Body && l.Body > 0:
		return refuse(v2.Code_MESSAGE_BODY_TOO_LARGE, "message body cannot exceed the max %d", l.Body)
	}
	if err := l.checkProperties(m); err != nil {
		return err
	}
	p := props(m)
	if id := p.GetMessageId(); blank(id) || control(id) {
		return refuse(v2.Code_ILLEGAL_MESSAGE_ID, "message id cannot be empty")
	}
	if p.GetMessageType() == v2.MessageType_TRANSACTION && p.OrphanedTransactionRecoveryDuration != nil {
		if p.GetOrphanedTransactionRecoveryDuration().AsDuration() > l.Recovery {
			return refuse(v2.Code_BAD_REQUEST, "the max transaction recovery time of message is too large, max is %d", int64(l.Recovery/time.Second))
		}
	}
	if p.DeliveryTimestamp != nil && p.GetDeliveryTimestamp().AsTime().Sub(now) > l.Delay {
		return refuse(v2.Code_ILLEGAL_DELIVERY_TIME, "the max delay time of message is too large, max is %d", l.Delay.Milliseconds())
	}
	if g := p.GetMessageGroup(); g != "" {
		switch {
		case blank(g):
			return refuse(v2.Code_ILLEGAL_MESSAGE_GROUP, "message group cannot be the char sequence of whitespace")
		case len(g) >= l.GroupSize && l.GroupSize > 0:
			return refuse(v2.Code_ILLEGAL_MESSAGE_GROUP, "message group exceed the max size %d", l.GroupSize)
		case control(g):
			return refuse(v2.Code_ILLEGAL_MESSAGE_GROUP, "message group cannot contain control character")
		}
	}
	if p.GetLiteTopic() != "" {
		return l.checkLite(p.GetLiteTopic())
	}
	return nil
}

// checkProperties checks what a user may name freely: properties, tag and keys.
func (l *Limits) checkProperties(m *v2.Message) error {
	user := m.GetUserProperties()
	if len(user) > l.UserProperties && l.UserProperties > 0 {
		return refuse(v2.Code_MESSAGE_PROPERTIES_TOO_LARGE, "too many user properties, max is %d", l.UserProperties)
	}
	size := 0
	for k, v := range user {
		switch {
		case reserved[k]:
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "property is used by system: %s", k)
		case control(k):
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the key of property cannot contain control character")
		case control(v):
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the value of property cannot contain control character")
		}
		size += len(k) + len(v)
	}
	p := props(m)
	if tag := p.GetTag(); tag != "" {
		switch {
		case blank(tag):
			return refuse(v2.Code_ILLEGAL_MESSAGE_TAG, "tag cannot be the char sequence of whitespace")
		case strings.Contains(tag, "|"):
			return refuse(v2.Code_ILLEGAL_MESSAGE_TAG, "tag cannot contain '|'")
		case control(tag):
			return refuse(v2.Code_ILLEGAL_MESSAGE_TAG, "tag cannot contain control character")
		}
		size += len(tag)
	}
	for _, k := range p.GetKeys() {
		switch {
		case k == "":
			continue
		case blank(k):
			return refuse(v2.Code_ILLEGAL_MESSAGE_KEY, "key cannot be the char sequence of whitespace")
		case control(k):
			return refuse(v2.Code_ILLEGAL_MESSAGE_KEY, "key cannot contain control character")
		}
		size += len(k)
	}
	if size > l.PropertySize {
		return refuse(v2.Code_MESSAGE_PROPERTIES_TOO_LARGE, "the total size of user property is too large, max is %d", l.PropertySize)
	}
	return nil
}
