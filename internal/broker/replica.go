package broker

import (
	"context"
	"errors"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// What is different in a slave, and what a master tells its slaves.

// errSlave refuses a message that is sent to a slave.
//
// Differs from Java: its remark lists the full disk and the shut down store as possible reasons, too.
var errSlave = &mq.Error{Kind: mq.KindUnavailable, Detail: "service not available now. This broker is a slave, messages are sent to its master."}

// errFenced refuses a message that is sent to a broker that may not take any.
func errFenced(why string) *mq.Error {
	return mq.Errorf(mq.KindUnavailable, "service not available now. This broker takes no messages: %s", why)
}

// errSlaveRead refuses a pull from a slave that does not serve consumers (slaveReadEnable), with the text of Java's
// PullMessageProcessor.rejectRequest.
var errSlaveRead = &mq.Error{Kind: mq.KindBusy, Detail: "[REJECTREQUEST]system busy, start flow control for a while"}

// OffsetTable implements mq.ReplicaAdmin.
func (b *Broker) OffsetTable(context.Context) ([]byte, error) { return b.meta.Offsets.JSON(), nil }

// DelayTable implements mq.ReplicaAdmin.
func (b *Broker) DelayTable(context.Context) ([]byte, error) { return b.meta.Delays.JSON(), nil }

// FollowTopics makes the topics of a slave those of its master.
//
// Differs from Java: the slave keeps the master's version, so it does not apply the same table again each time; and the
// queues of a topic that is gone go with it, or its successor's messages would be hidden by the old ones' indexes.
func (b *Broker) FollowTopics(list []mq.TopicConfig, v mq.DataVersion) error {
	serr := b.meta.Statics.Follow(list)
	gone, changed, err := b.meta.Topics.Follow(list, v)
	err = errors.Join(err, serr)
	for _, name := range gone {
		b.o.Log.Info("topic deleted as on the master", "topic", name)
		err = errors.Join(err, b.meta.Offsets.DeleteTopic(name), b.store.DeleteTopic(name))
		b.polls.WakeTopic(name)
	}
	if changed && b.o.Announce != nil {
		ctx, cancel := context.WithTimeout(context.Background(), announceTimeout)
		defer cancel()
		if aerr := b.o.Announce(ctx, nil, v); aerr != nil {
			b.o.Log.Debug("name servers were not told about the master's topics yet", "err", aerr)
		}
	}
	return err
}

// FollowGroups makes the groups of a slave those of its master.
func (b *Broker) FollowGroups(list []mq.GroupConfig, v mq.DataVersion) error {
	_, _, err := b.meta.Groups.Follow(list, v)
	return err
}

// FollowOffsets takes over the master's positions of consumers. The caller sees to it that the slave's log is not behind them.
// While it acts as the master they are its own.
func (b *Broker) FollowOffsets(text []byte) error {
	if b.Acts() {
		return nil
	}
	return b.meta.Offsets.Follow(text)
}

// FollowDelays takes over how far the master has delivered delayed messages. The copies it has made are in the log here.
func (b *Broker) FollowDelays(text []byte) error {
	if b.Acts() {
		return nil
	}
	if err := b.meta.Delays.Follow(text, b.store.Appended()); err != nil {
		return err
	}
	b.meta.Delays.Durable(b.store.Flushed())
	return b.meta.Delays.Fold()
}

// readAsSlave changes an answer to what a slave answers, as Java's PullMessageProcessor.updateBroadcastPulledOffset and its
// neighbours do: who is not far behind is sent to the master, at once when there was nothing; and a position outside of the
// queue is left as it is, because it may be the slave that is behind (offsetCheckInSlave).
//
// Differs from Java: a consumer that has read everything here is sent to the master at once. In Java only slaves in a broker
// container do that, the others let it wait here. Without a connection to the master consumers are not sent there, they wait.
func (b *Broker) readAsSlave(f *mq.Fetch, res *storage.ReadResult, from mq.Index) {
	if !b.o.OffsetCheck && res.Count == 0 {
		switch f.Status {
		case mq.FetchOffsetOverflowBadly, mq.FetchOffsetOverflowOne, mq.FetchOffsetTooSmall, mq.FetchNoMatchedLogicQueue, mq.FetchNoMessageInQueue:
			f.Next = from
		default:
		}
	}
	if b.lags(res) {
		return
	}
	f.SuggestBroker = 0
	switch {
	case res.Count > 0:
	case !b.Acts() && (b.o.MasterAlive == nil || b.o.MasterAlive()):
		f.Status = mq.FetchNoMatchedMessage // PULL_RETRY_IMMEDIATELY
	case !b.o.OffsetCheck && f.Next == from && f.Status != mq.FetchNoMatchedMessage && f.Status != mq.FetchMessageWasRemoving:
		f.Status = mq.FetchOffsetOverflowOne // wait for the slave, or for the master to come back
	}
}

var _ mq.ReplicaAdmin = (*Broker)(nil)
