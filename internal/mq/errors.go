package mq

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in the core's terms. Doors map it to their own codes.
type Kind uint8

// The kinds of failure. The comment names the remoting response code that the Java broker gives.
const (
	KindInternal              Kind = iota // 1 SYSTEM_ERROR
	KindBusy                              // 2 SYSTEM_BUSY: flow control, safe to retry elsewhere
	KindUnsupported                       // 3 REQUEST_CODE_NOT_SUPPORTED
	KindMessageIllegal                    // 13 MESSAGE_ILLEGAL: size, properties, topic length
	KindUnavailable                       // 14 SERVICE_NOT_AVAILABLE: the store does not accept writes
	KindNoPermission                      // 16 NO_PERMISSION
	KindTopicNotExist                     // 17 TOPIC_NOT_EXIST
	KindTopicExists                       // 18 TOPIC_EXIST_ALREADY
	KindQueryNotFound                     // 22 QUERY_NOT_FOUND
	KindSubscriptionIllegal               // 23 SUBSCRIPTION_PARSE_FAILED
	KindSubscriptionNotExist              // 24 SUBSCRIPTION_NOT_EXIST
	KindSubscriptionNotLatest             // 25 SUBSCRIPTION_NOT_LATEST
	KindGroupNotExist                     // 26 SUBSCRIPTION_GROUP_NOT_EXIST
	KindFilterDataNotExist                // 27 FILTER_DATA_NOT_EXIST
	KindFilterDataNotLatest               // 28 FILTER_DATA_NOT_LATEST
	KindInvalidParameter                  // 29 INVALID_PARAMETER
	KindConsumerNotOnline                 // 206 CONSUMER_NOT_ONLINE
	KindTimeout                           // 207 CONSUME_MSG_TIMEOUT
	KindNoMessage                         // 208 NO_MESSAGE
	KindNotMaster                         // 11 SLAVE_NOT_AVAILABLE: this broker is a slave
	KindIgnored                           // 0 SUCCESS with a remark: not done, and not to be tried again
	KindIllegalOperation                  // 604 ILLEGAL_OPERATION
	KindPollingFull                       // 209 POLLING_FULL: too many requests wait
	KindPollingTimeout                    // 210 POLLING_TIMEOUT: a pop has waited long enough
	KindLiteQuota                         // 2018 LITE_SUBSCRIPTION_QUOTA_EXCEEDED: too many subscriptions to lite topics
	KindNotLeader                         // 501 NOT_LEADER_FOR_QUEUE: another broker leads this logical queue
	kindCount
)

// Kinds is the number of kinds, for tests that walk all of them.
const Kinds = int(kindCount)

// Error is the one error type that crosses the core's border.
type Error struct {
	Kind   Kind
	Detail string // the remark a client sees; Java's text where clients read it
	// Forbidden is Java's forbiddenType of a refused pull (0 when not a pull or not a permission).
	Forbidden int32
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

// Errorf makes an Error of kind k.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of err, KindInternal when err is not an *Error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}
