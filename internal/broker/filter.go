package broker

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
)

// CheckFilter implements mq.Service.
func (b *Broker) CheckFilter(_ context.Context, _ string, s *mq.Subscription) error {
	switch {
	case selector.IsTag(s.ExpressionType):
		return nil
	case !b.o.PropFilter:
		return errNoFilter(s.ExpressionType)
	}
	if _, err := meta.CompileFilter(s.ExpressionType, s.Expression); err != nil {
		return mq.Errorf(mq.KindSubscriptionIllegal, "%s", err.Error())
	}
	return nil
}

// errNoFilter refuses an expression that is not made of tags, as Java does while enablePropertyFilter is false.
func errNoFilter(kind string) *mq.Error {
	return mq.Errorf(mq.KindInternal, "The broker does not support consumer to filter message by %s", kind)
}

// errNoData is Java's text, and what is wrong with the expression.
func errNoData(s *mq.Subscription) *mq.Error {
	const text = "The broker's consumer filter data is not exist!Your expression may be wrong!"
	if _, err := meta.CompileFilter(s.ExpressionType, s.Expression); err != nil {
		return mq.Errorf(mq.KindFilterDataNotExist, "%s %s", text, err.Error())
	}
	return mq.Errorf(mq.KindFilterDataNotExist, text)
}

// asked returns the filter of an expression that came with a pull. The last one of a group in a topic is kept.
//
// Differs from Java: an expression that does not compile is refused. Java delivers all messages then.
func (b *Broker) asked(r *mq.PullRequest, gt *groupTopic) (selector.Filter, *mq.Error) {
	tags := selector.IsTag(r.ExpressionType)
	switch e := gt.asked.Load(); {
	case e == nil || e.text != r.Expression || e.kind != r.ExpressionType:
	case tags:
		return e.filter, nil
	case b.o.PropFilter:
		return b.forRetries(r, gt, e.filter), nil
	}
	var filter selector.Filter
	var err error
	switch {
	case tags:
		filter, err = selector.ParseTags(r.Expression)
	case r.Expression == "":
		return nil, errParse(nil)
	case !b.o.PropFilter:
		return nil, errNoFilter(r.ExpressionType)
	default:
		filter, err = meta.CompileFilter(r.ExpressionType, r.Expression)
	}
	switch {
	case err != nil && tags:
		return nil, errParse(nil)
	case err != nil:
		return nil, errParse(err)
	}
	gt.asked.Store(&expression{text: strings.Clone(r.Expression), kind: strings.Clone(r.ExpressionType), filter: filter})
	if !tags {
		filter = b.forRetries(r, gt, filter)
	}
	return filter, nil
}

// errParse is Java's text, and what is wrong with the expression.
func errParse(err error) *mq.Error {
	const text = "parse the consumer's subscription failed"
	if err == nil {
		return mq.Errorf(mq.KindSubscriptionIllegal, text)
	}
	return mq.Errorf(mq.KindSubscriptionIllegal, "%s: %s", text, err.Error())
}

// retryFilter is the filter of a group's retry topic with filterSupportRetry: a message is judged by what the group says about
// the topic that it came from, and passes when it says nothing.
type retryFilter struct {
	filters *meta.Filters
	group   string
	props   func(record.Props) bool
}

func (f *retryFilter) matches(p record.Props) bool {
	topic, ok := p.Get(record.PropRetryTopic)
	if !ok {
		return true
	}
	data := f.filters.Get(string(topic), f.group)
	return data == nil || data.Filter == nil || data.Filter.Matches(p)
}

// Match implements selector.Filter.
func (f *retryFilter) Match() func(tagsCode int64) bool { return nil }

// Props implements selector.Filter.
func (f *retryFilter) Props() func(record.Props) bool { return f.props }

// forRetries returns filter, or what stands for it on a retry topic.
func (b *Broker) forRetries(r *mq.PullRequest, gt *groupTopic, filter selector.Filter) selector.Filter {
	if !b.o.FilterRetry || !strings.HasPrefix(r.Topic, retryPrefix) {
		return filter
	}
	f := gt.retry.Load()
	if f == nil {
		f = &retryFilter{filters: b.meta.Filters, group: strings.Clone(r.Topic[len(retryPrefix):])}
		f.props = f.matches
		gt.retry.Store(f)
	}
	return f
}
