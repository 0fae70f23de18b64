package broker

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/quota"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// charge asks the quotas of the topic, the user and the client of a send, and takes what it has from them. It refuses with the code
// and in the manner of Java's flow control: clients from 5.0 on go to another broker.
//
// Quotas on all topics are not for the broker's own ones: what they are used for is not the client's choice.
func (b *Broker) charge(s *sender, r *mq.SendRequest, res *mq.SendResult, now time.Time) *mq.Error {
	t := b.o.Quotas
	at := t.At(now)
	name := s.last.entry.Name()
	who := [...]*quota.Subject{
		t.Of(quota.Topic, name, s.last.system || isRetryOrDead(name), at), t.Of(quota.User, r.User, false, at), t.Of(quota.Client, r.Client, false, at),
	}
	n, bytes := int64(0), int64(len(r.Body))
	for i, q := range who {
		o, refused := t.Refuses(q, at)
		if !refused {
			continue
		}
		q.Refused(messagesIn(r))
		return errQuota(quota.Kind(i), q.Name, &o)
	}
	for _, q := range who {
		if q == nil {
			continue
		}
		n = cmp.Or(n, messagesIn(r))
		res.Wait = max(res.Wait, t.Take(q, at, n, bytes))
	}
	return nil
}

// messagesIn counts the messages of a request, 1 when it is malformed.
func messagesIn(r *mq.SendRequest) int64 {
	if !r.Batch {
		return 1
	}
	n := int64(0)
	it := record.IterBatch(r.Body)
	for {
		if _, _, _, ok := it.Next(); !ok {
			return max(n, 1)
		}
		n++
	}
}

func errQuota(k quota.Kind, name string, o *quota.Over) *mq.Error {
	return mq.Errorf(mq.KindBusy, "[QUOTA]broker busy, start flow control for a while, quota of %s %s: %d %s/s, behind by %dms",
		k, name, o.Rate, o.Unit, o.Behind.Milliseconds())
}

// sampleQuotas notes how much was sent lately.
func (b *Broker) sampleQuotas(since time.Duration) {
	if b.o.Quotas.On() {
		b.o.Quotas.Sample(since)
	}
}

// maxQuotaLines is how many names with a quota runtime information tells about.
const maxQuotaLines = 200

// putQuotas adds who has a quota and what they send, one line each; none without quotas, so that tools see Java's table.
func (b *Broker) putQuotas(m map[string]string) {
	if !b.o.Quotas.On() {
		return
	}
	for i, u := range b.o.Quotas.Uses() {
		if i == maxQuotaLines {
			return
		}
		m["quota."+u.Kind.String()+"."+u.Name] = fmt.Sprintf("bytesLimit=%d messagesLimit=%d bytesRate=%d messagesRate=%d delayed=%d refused=%d",
			u.Bytes, u.Messages, u.ByteRate, u.Rate, u.Delayed, u.Refused)
	}
}

func (b *Broker) collectQuotas(s *telemetry.Sink) {
	if !b.o.Quotas.On() {
		return
	}
	for _, u := range b.o.Quotas.Uses() {
		k := u.Kind.String()
		if u.Bytes > 0 {
			s.Int(telemetry.QuotaLimit, u.Bytes, k, u.Name, quota.UnitBytes)
		}
		if u.Messages > 0 {
			s.Int(telemetry.QuotaLimit, u.Messages, k, u.Name, quota.UnitMessages)
		}
		s.Int(telemetry.QuotaTaken, u.TakenBytes, k, u.Name, quota.UnitBytes)
		s.Int(telemetry.QuotaTaken, u.Taken, k, u.Name, quota.UnitMessages)
		s.Int(telemetry.QuotaDelayed, u.Delayed, k, u.Name)
		s.Int(telemetry.QuotaRefused, u.Refused, k, u.Name)
	}
}
