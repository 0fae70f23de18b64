package remotingapi

import (
	"errors"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

// codeOf is the one table from the core's kinds to response codes.
func codeOf(k mq.Kind) int32 {
	switch k {
	case mq.KindBusy:
		return protocol.RespSystemBusy
	case mq.KindUnsupported:
		return protocol.RespRequestCodeNotSupported
	case mq.KindMessageIllegal:
		return protocol.RespMessageIllegal
	case mq.KindUnavailable:
		return protocol.RespServiceNotAvailable
	case mq.KindNoPermission:
		return protocol.RespNoPermission
	case mq.KindTopicNotExist:
		return protocol.RespTopicNotExist
	case mq.KindTopicExists:
		return protocol.RespTopicExistAlready
	case mq.KindQueryNotFound:
		return protocol.RespQueryNotFound
	case mq.KindSubscriptionIllegal:
		return protocol.RespSubscriptionParseFailed
	case mq.KindSubscriptionNotExist:
		return protocol.RespSubscriptionNotExist
	case mq.KindSubscriptionNotLatest:
		return protocol.RespSubscriptionNotLatest
	case mq.KindGroupNotExist:
		return protocol.RespSubscriptionGroupNotExist
	case mq.KindFilterDataNotExist:
		return protocol.RespFilterDataNotExist
	case mq.KindFilterDataNotLatest:
		return protocol.RespFilterDataNotLatest
	case mq.KindInvalidParameter:
		return protocol.RespInvalidParameter
	case mq.KindConsumerNotOnline:
		return protocol.RespConsumerNotOnline
	case mq.KindTimeout:
		return protocol.RespConsumeMsgTimeout
	case mq.KindNoMessage:
		return protocol.RespNoMessage
	case mq.KindPollingFull:
		return protocol.RespPollingFull
	case mq.KindPollingTimeout:
		return protocol.RespPollingTimeout
	case mq.KindNotMaster:
		return protocol.RespSlaveNotAvailable
	case mq.KindIgnored:
		return protocol.RespSuccess
	case mq.KindIllegalOperation:
		return protocol.RespIllegalOperation
	case mq.KindLiteQuota:
		return protocol.RespLiteSubscriptionQuotaExceeded
	case mq.KindNotLeader:
		return protocol.RespNotLeaderForQueue
	case mq.KindInternal:
		return protocol.RespSystemError
	default:
		return protocol.RespSystemError
	}
}

// failure returns the code and remark of err.
func failure(err error) (code int32, remark string) {
	if e, ok := errors.AsType[*mq.Error](err); ok {
		return codeOf(e.Kind), e.Detail
	}
	return protocol.RespSystemError, err.Error()
}

// forbidden is Java's forbiddenType of a refused pull.
func forbidden(err error) int32 {
	if e, ok := errors.AsType[*mq.Error](err); ok {
		return e.Forbidden
	}
	return 0
}

// errLost ends the connection whose sends were lost in a panic.
var errLost = errors.New("sends were lost in a panic")

// errSilent ends the connection of a client that has sent no heartbeat for too long.
var errSilent = errors.New("no heartbeat")
