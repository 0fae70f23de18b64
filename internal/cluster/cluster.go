package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Options tune a Cluster. The zero value works but for NameServers.
type Options struct {
	// NameServers are host:port each.
	NameServers []string
	// Dial opens connections, default net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Credentials sign all requests; an empty AccessKey: none are signed.
	Credentials auth.Credentials
	// Timeout bounds one call with its connection, default 5 s, as Java's tools have it.
	Timeout time.Duration
}

const defaultTimeout = 5 * time.Second

// Cluster implements mq.Cluster.
type Cluster struct {
	names   []string
	client  *remoting.Client
	timeout time.Duration
	creds   auth.Credentials
}

var _ mq.Cluster = (*Cluster)(nil)

// New returns a cluster without connections.
func New(o Options) *Cluster {
	t := cmp.Or(o.Timeout, defaultTimeout)
	return &Cluster{
		names: slices.Clone(o.NameServers), timeout: t, creds: o.Credentials,
		client: remoting.NewClient(remoting.ClientOptions{
			Dial: o.Dial, DialTimeout: t, MaxFrame: maxAnswer, Language: protocol.LanguageGo,
		}),
	}
}

// maxAnswer bounds a frame of a server: tables of 100,000 topics are larger than the 16 MiB that servers take from clients.
const maxAnswer = 256 << 20

// SplitAddrs reads a list of addresses as Java writes it, with semicolons; commas and spaces are taken too.
func SplitAddrs(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
}

// NameServers returns the addresses of Options.
func (c *Cluster) NameServers() []string { return c.names }

// Close ends all connections.
func (c *Cluster) Close() { c.client.Close() }

// call asks one server and waits. An answer other than success is an error.
func (c *Cluster) call(ctx context.Context, addr string, code int32, h remoting.HeaderAppender, body []byte) (*remoting.Response, error) {
	r, err := c.ask(ctx, addr, code, h, body, c.timeout)
	if err == nil && r.Code != protocol.RespSuccess {
		return nil, refused(addr, code, r)
	}
	return r, err
}

// ask is call that leaves the answer's code to its caller.
func (c *Cluster) ask(ctx context.Context, addr string, code int32, h remoting.HeaderAppender, body []byte, wait time.Duration) (*remoting.Response, error) {
	began := time.Now()
	if c.creds.AccessKey != "" {
		h = &signed{h, body, &c.creds}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errNoAnswer)
	defer cancel()
	r, err := c.client.Invoke(ctx, addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		return nil, &mq.CallError{Addr: addr, Step: protocol.RequestName(code), Took: time.Since(began), Err: plain(err)}
	}
	return r, nil
}

var errNoAnswer = errors.New("no answer")

// plain drops what remoting says about address and step: CallError says it.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	if errors.Is(err, errNoAnswer) {
		return errNoAnswer
	}
	return err
}

func refused(addr string, code int32, r *remoting.Response) error {
	return &mq.CallError{
		Addr: addr, Step: protocol.RequestName(code), Code: r.Code, Err: &mq.Error{Kind: kindOf(r.Code), Detail: r.Remark},
	}
}

// malformed is an answer that cannot be read.
func malformed(addr string, code int32, err error) error {
	return &mq.CallError{Addr: addr, Step: protocol.RequestName(code), Err: fmt.Errorf("the answer makes no sense: %w", err)}
}

// kindOf is the one table from response codes to the core's kinds.
func kindOf(code int32) mq.Kind {
	k, ok := map[int32]mq.Kind{
		protocol.RespSystemBusy: mq.KindBusy, protocol.RespRequestCodeNotSupported: mq.KindUnsupported,
		protocol.RespMessageIllegal: mq.KindMessageIllegal, protocol.RespServiceNotAvailable: mq.KindUnavailable,
		protocol.RespNoPermission: mq.KindNoPermission, protocol.RespTopicNotExist: mq.KindTopicNotExist,
		protocol.RespTopicExistAlready: mq.KindTopicExists, protocol.RespQueryNotFound: mq.KindQueryNotFound,
		protocol.RespSubscriptionParseFailed: mq.KindSubscriptionIllegal, protocol.RespSubscriptionNotExist: mq.KindSubscriptionNotExist,
		protocol.RespSubscriptionNotLatest: mq.KindSubscriptionNotLatest, protocol.RespSubscriptionGroupNotExist: mq.KindGroupNotExist,
		protocol.RespFilterDataNotExist: mq.KindFilterDataNotExist, protocol.RespFilterDataNotLatest: mq.KindFilterDataNotLatest,
		protocol.RespInvalidParameter: mq.KindInvalidParameter, protocol.RespConsumerNotOnline: mq.KindConsumerNotOnline,
		protocol.RespConsumeMsgTimeout: mq.KindTimeout, protocol.RespNoMessage: mq.KindNoMessage,
		protocol.RespPollingFull: mq.KindPollingFull, protocol.RespPollingTimeout: mq.KindPollingTimeout,
		protocol.RespSlaveNotAvailable: mq.KindNotMaster, protocol.RespIllegalOperation: mq.KindIllegalOperation,
	}[code]
	if !ok {
		return mq.KindInternal
	}
	return k
}

// settings reads Java's properties text as servers write it: key=value lines.
func settings(body []byte) []mq.Setting {
	var out []mq.Setting
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		k, v, _ := strings.Cut(line, "=")
		out = append(out, mq.Setting{Key: strings.TrimSpace(k), Value: strings.TrimSpace(v)})
	}
	return out
}

func (c *Cluster) config(ctx context.Context, addr string, code int32) ([]mq.Setting, error) {
	r, err := c.call(ctx, addr, code, nil, nil)
	if err != nil {
		return nil, err
	}
	return settings(r.Body), nil
}

func (c *Cluster) setConfig(ctx context.Context, addr string, code int32, key, value string) (string, error) {
	r, err := c.call(ctx, addr, code, nil, property(key, value))
	if err != nil {
		return "", err
	}
	return r.Remark, nil
}

// property is one line of Java's properties.
func property(key, value string) []byte {
	return []byte(escaped.Replace(key) + "=" + escaped.Replace(value) + "\n")
}

// escaped keeps a value one line of Java's properties.
var escaped = strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
