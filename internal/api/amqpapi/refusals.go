package amqpapi

import (
	"errors"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
)

// conditions are the AMQP conditions of the kinds of errors; Qpid JMS makes its exceptions of them. What is not here is an internal error.
var conditions = [mq.Kinds]string{
	mq.KindInternal:              amqp10.CondInternal,
	mq.KindBusy:                  amqp10.CondResourceLimit,
	mq.KindUnsupported:           amqp10.CondNotImplemented,
	mq.KindMessageIllegal:        amqp10.CondNotAllowed,
	mq.KindUnavailable:           amqp10.CondResourceLimit,
	mq.KindNoPermission:          amqp10.CondUnauthorized,
	mq.KindTopicNotExist:         amqp10.CondNotFound,
	mq.KindTopicExists:           amqp10.CondPrecondition,
	mq.KindQueryNotFound:         amqp10.CondNotFound,
	mq.KindSubscriptionIllegal:   amqp10.CondInvalidField,
	mq.KindSubscriptionNotExist:  amqp10.CondNotFound,
	mq.KindSubscriptionNotLatest: amqp10.CondPrecondition,
	mq.KindGroupNotExist:         amqp10.CondNotFound,
	mq.KindFilterDataNotExist:    amqp10.CondPrecondition,
	mq.KindFilterDataNotLatest:   amqp10.CondPrecondition,
	mq.KindInvalidParameter:      amqp10.CondInvalidField,
	mq.KindConsumerNotOnline:     amqp10.CondNotFound,
	mq.KindTimeout:               amqp10.CondInternal,
	mq.KindNoMessage:             amqp10.CondNotFound,
	mq.KindNotMaster:             amqp10.CondIllegalState,
	mq.KindIgnored:               amqp10.CondPrecondition,
	mq.KindIllegalOperation:      amqp10.CondNotAllowed,
	mq.KindPollingFull:           amqp10.CondResourceLimit,
	mq.KindPollingTimeout:        amqp10.CondInternal,
	mq.KindLiteQuota:             amqp10.CondResourceLimit,
	mq.KindNotLeader:             amqp10.CondIllegalState,
}

// forbidden is a refusal of package auth as an *mq.Error.
func forbidden(err error) error {
	if err == nil {
		return nil
	}
	return mq.Errorf(mq.KindNoPermission, "%s", err.Error())
}

// refusal is err for a client.
func refusal(err error) *amqp10.Error {
	if errors.Is(err, errLocked) {
		return amqp10.NewError(amqp10.CondResourceLocked, err.Error())
	}
	return amqp10.NewError(conditions[mq.KindOf(err)], err.Error())
}
