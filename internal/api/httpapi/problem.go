package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/cometmq/cometmq/internal/mq"
)

// problem is an answer that says what went wrong (RFC 9457). Codes are stable: clients translate them.
type problem struct {
	Type         string       `json:"type"`
	Title        string       `json:"title"`
	Status       int          `json:"status"`
	Detail       string       `json:"detail,omitempty"`
	Code         string       `json:"code"`
	RemotingCode int32        `json:"remotingCode,omitempty"`
	Node         string       `json:"node,omitempty"`
	TraceID      string       `json:"traceId,omitempty"`
	RetryAfterMs int64        `json:"retryAfterMs,omitempty"`
	Fields       []fieldError `json:"fields,omitempty"`
}

type fieldError struct {
	Name   string `json:"name"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Error makes it an error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

func problemf(status int, code, format string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// badField says which parameter or field is wrong.
func badField(name, code, format string, args ...any) *problem {
	p := problemf(http.StatusBadRequest, "invalidParameter", format, args...)
	p.Fields = []fieldError{{name, code, p.Detail}}
	return p
}

func notFound(code, format string, args ...any) *problem {
	return problemf(http.StatusNotFound, code, format, args...)
}

var (
	errNoRoute  = problemf(http.StatusNotFound, "noSuchRoute", "the API has no such path")
	errTooLarge = problemf(http.StatusRequestEntityTooLarge, "tooLarge", "the body of the request is larger than %d bytes", maxRequest)
)

// kindCodes is the one table from the core's kinds to statuses and codes.
var kindCodes = map[mq.Kind]struct {
	status int
	code   string
}{
	mq.KindInternal:              {http.StatusBadGateway, "brokerError"},
	mq.KindBusy:                  {http.StatusServiceUnavailable, "brokerBusy"},
	mq.KindUnsupported:           {http.StatusNotImplemented, "notSupported"},
	mq.KindMessageIllegal:        {http.StatusUnprocessableEntity, "messageIllegal"},
	mq.KindUnavailable:           {http.StatusServiceUnavailable, "brokerUnavailable"},
	mq.KindNoPermission:          {http.StatusForbidden, "brokerDenied"},
	mq.KindTopicNotExist:         {http.StatusNotFound, "topicNotFound"},
	mq.KindTopicExists:           {http.StatusConflict, "topicExists"},
	mq.KindQueryNotFound:         {http.StatusNotFound, "notFound"},
	mq.KindSubscriptionIllegal:   {http.StatusUnprocessableEntity, "subscriptionIllegal"},
	mq.KindSubscriptionNotExist:  {http.StatusNotFound, "subscriptionNotFound"},
	mq.KindSubscriptionNotLatest: {http.StatusConflict, "subscriptionNotLatest"},
	mq.KindGroupNotExist:         {http.StatusNotFound, "groupNotFound"},
	mq.KindFilterDataNotExist:    {http.StatusNotFound, "filterDataNotFound"},
	mq.KindFilterDataNotLatest:   {http.StatusConflict, "filterDataNotLatest"},
	mq.KindInvalidParameter:      {http.StatusBadRequest, "invalidParameter"},
	mq.KindConsumerNotOnline:     {http.StatusConflict, "consumerNotOnline"},
	mq.KindTimeout:               {http.StatusGatewayTimeout, "clientTimeout"},
	mq.KindNoMessage:             {http.StatusNotFound, "noMessage"},
	mq.KindNotMaster:             {http.StatusConflict, "notMaster"},
	mq.KindIgnored:               {http.StatusConflict, "ignored"},
	mq.KindIllegalOperation:      {http.StatusConflict, "illegalOperation"},
	mq.KindPollingFull:           {http.StatusServiceUnavailable, "pollingFull"},
	mq.KindPollingTimeout:        {http.StatusGatewayTimeout, "pollingTimeout"},
	mq.KindNotLeader:             {http.StatusConflict, "notLeader"},
}

// problemOf turns any error into a problem.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if call, ok := errors.AsType[*mq.CallError](err); ok {
		p := problemf(http.StatusBadGateway, unreachableCode(err), "%v", call)
		if call.Code != 0 {
			k := kindCodes[mq.KindOf(err)]
			p = problemf(k.status, k.code, "%v", call)
		}
		p.Node, p.RemotingCode = call.Addr, call.Code
		return p
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return problemf(http.StatusGatewayTimeout, "timeout", "it took too long")
	case errors.Is(err, context.Canceled):
		return problemf(499, "cancelled", "the client has gone")
	}
	if e, ok := errors.AsType[*mq.Error](err); ok {
		k := kindCodes[e.Kind]
		return problemf(k.status, k.code, "%v", err)
	}
	return problemf(http.StatusInternalServerError, "internal", "%v", err)
}

// unreachableCode says why a server gave no answer.
func unreachableCode(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connectionRefused"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "nodeTimeout"
	}
	return "nodeUnreachable"
}

// nodeError is one server of several that failed.
type nodeError struct {
	Node         string `json:"node"`
	Code         string `json:"code"`
	Detail       string `json:"detail"`
	RemotingCode int32  `json:"remotingCode,omitempty"`
}

func nodeErrorOf(node string, err error) *nodeError {
	p := problemOf(err)
	return &nodeError{Node: node, Code: p.Code, Detail: p.Detail, RemotingCode: p.RemotingCode}
}

// refuse answers with a problem document, and returns it.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) *problem {
	p := *problemOf(err)
	p.TraceID = requestID(r)
	if p.Title == "" {
		p.Title = p.Code
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryAfterMs > 0 {
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMs+999)/1000, 10))
	}
	b, _ := json.Marshal(&p) // strings and numbers always can be
	w.WriteHeader(p.Status)
	_, _ = w.Write(b) // the client may have gone
	return &p
}
