package grpcapi

import (
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// refusal is why a call, or a part of it, is refused.
type refusal struct {
	code v2.Code
	text string
}

// Error is the text that the client gets.
func (r *refusal) Error() string { return r.text }

func refuse(code v2.Code, format string, args ...any) error {
	if len(args) == 0 {
		return &refusal{code, format}
	}
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// status is an outcome. As in Java its message is the name of the code when there is nothing better.
func status(code v2.Code, text string) *v2.Status {
	if text == "" {
		text = code.String()
	}
	return &v2.Status{Code: code, Message: text}
}

// statusOf is the outcome that err is; nil is OK.
func statusOf(err error) *v2.Status {
	if err == nil {
		return status(v2.Code_OK, "")
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return status(r.code, r.text)
	}
	if e, ok := errors.AsType[*mq.Error](err); ok {
		return status(codeOf(e.Kind), e.Detail)
	}
	return status(v2.Code_INTERNAL_SERVER_ERROR, err.Error())
}

// codeOf is the one table from the core's kinds to codes. It is the one of Java's proxy in cluster mode where that has a code of its own.
//
// Differs from Java: a filter that cannot be read, a parameter that is not legal, and an operation that is not allowed have codes of
// their own there only when the proxy itself finds them; what its broker refuses is INTERNAL_SERVER_ERROR.
func codeOf(k mq.Kind) v2.Code {
	switch k {
	case mq.KindBusy, mq.KindPollingFull:
		return v2.Code_TOO_MANY_REQUESTS
	case mq.KindUnsupported:
		return v2.Code_NOT_IMPLEMENTED
	case mq.KindTopicNotExist:
		return v2.Code_TOPIC_NOT_FOUND
	case mq.KindGroupNotExist:
		return v2.Code_CONSUMER_GROUP_NOT_FOUND
	case mq.KindSubscriptionIllegal:
		return v2.Code_ILLEGAL_FILTER_EXPRESSION
	case mq.KindNoPermission:
		return v2.Code_FORBIDDEN
	case mq.KindTimeout:
		return v2.Code_PROXY_TIMEOUT
	case mq.KindLiteQuota:
		return v2.Code_LITE_SUBSCRIPTION_QUOTA_EXCEEDED
	case mq.KindInvalidParameter, mq.KindMessageIllegal, mq.KindIllegalOperation:
		return v2.Code_BAD_REQUEST
	case mq.KindNoMessage, mq.KindPollingTimeout:
		return v2.Code_MESSAGE_NOT_FOUND
	case mq.KindIgnored:
		return v2.Code_OK
	case mq.KindInternal, mq.KindUnavailable, mq.KindTopicExists, mq.KindQueryNotFound, mq.KindSubscriptionNotExist,
		mq.KindSubscriptionNotLatest, mq.KindFilterDataNotExist, mq.KindFilterDataNotLatest, mq.KindConsumerNotOnline, mq.KindNotMaster,
		mq.KindNotLeader:
		return v2.Code_INTERNAL_SERVER_ERROR
	default:
		return v2.Code_INTERNAL_SERVER_ERROR
	}
}

// together is the outcome of a call whose parts have outcomes of their own.
func together[T interface{ GetStatus() *v2.Status }](parts []T) *v2.Status {
	first := parts[0].GetStatus()
	for _, p := range parts[1:] {
		if p.GetStatus().GetCode() != first.GetCode() {
			return status(v2.Code_MULTIPLE_RESULTS, "")
		}
	}
	return status(first.GetCode(), first.GetMessage())
}
