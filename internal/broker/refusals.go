package broker

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// errBusy is for what was neither taken nor refused with a reason.
var errBusy = &mq.Error{Kind: mq.KindBusy, Detail: "[PC_SYNCHRONIZED]broker busy, start flow control for a while"}

// errSize is Java's one answer to all messages that cannot be stored as they are.
func (b *Broker) errSize() *mq.Error {
	return mq.Errorf(mq.KindMessageIllegal, "the message is illegal, maybe msg body or properties length not matched."+
		" msg body length limit %dB, msg properties length limit 32KB.", b.live.Load().MaxMessageSize)
}

// storeError translates why the store did not take messages.
//
// Differs from Java: its remark lists three guesses; ours says which it is.
func (b *Broker) storeError(err error) *mq.Error {
	var readOnly *storage.ReadOnlyError
	var full *storage.DiskFullError
	switch {
	case errors.Is(err, storage.ErrTooLarge), errors.Is(err, record.ErrPropsTooLong), errors.Is(err, record.ErrTopicTooLong),
		errors.Is(err, record.ErrTooLarge):
		return b.errSize()
	case errors.As(err, &full):
		return mq.Errorf(mq.KindUnavailable, "service not available now. The broker's disk is full: %s", full.Reason.Error())
	case errors.As(err, &readOnly):
		return mq.Errorf(mq.KindUnavailable, "service not available now. The message store is read-only: %s", readOnly.Reason.Error())
	case errors.Is(err, storage.ErrCopy) && b.refuse != nil:
		return b.refuse
	case errors.Is(err, storage.ErrCopy):
		return errSlave
	case errors.Is(err, storage.ErrClosed):
		return mq.Errorf(mq.KindUnavailable, "service not available now. The message store has been shut down.")
	}
	return mq.Errorf(mq.KindInternal, "store message: %s", err.Error())
}

// refusePull makes the error of a pull that is not permitted.
func refusePull(forbidden int32, parts ...string) *mq.Error {
	return &mq.Error{Kind: mq.KindNoPermission, Detail: strings.Join(parts, ""), Forbidden: forbidden}
}

// javaTopic is Java's TopicConfig.toString, which stands in remarks.
func javaTopic(c *mq.TopicConfig) string {
	perm := []byte("---")
	if c.Perm.Readable() {
		perm[0] = 'R'
	}
	if c.Perm.Writable() {
		perm[1] = 'W'
	}
	if c.Perm&mq.PermInherit != 0 {
		perm[2] = 'X'
	}
	var attrs strings.Builder
	for k, v := range c.Attributes {
		if attrs.Len() > 0 {
			attrs.WriteString(", ")
		}
		attrs.WriteString(k + "=" + v)
	}
	return "TopicConfig [topicName=" + c.Name + ", readQueueNums=" + strconv.Itoa(int(c.ReadQueues)) +
		", writeQueueNums=" + strconv.Itoa(int(c.WriteQueues)) + ", perm=" + string(perm) + ", topicFilterType=" + c.Filter +
		", topicSysFlag=" + strconv.Itoa(int(c.SysFlag)) + ", order=" + strconv.FormatBool(c.Order) +
		", attributes={" + attrs.String() + "}]"
}

// javaAddr is Java's InetSocketAddress.toString.
func javaAddr(a netip.AddrPort) string { return "/" + a.String() }
