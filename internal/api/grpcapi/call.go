package grpcapi

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/cometmq/cometmq/internal/auth"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// call is one call with what its headers tell.
type call struct {
	d        *Door
	ctx      context.Context //nolint:containedctx // of one call, which dies with it
	core     *serving        // nil in a telemetry stream
	id       string          // of the client
	version  string
	language string
	from     netip.AddrPort

	// Who it is, when users are checked.
	user    string
	named   bool
	account *auth.Account
}

// maxClientID bounds the ids of clients: they are kept.
const maxClientID = 1024

func header(ctx context.Context, name string) string {
	if v := metadata.ValueFromIncomingContext(ctx, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// callOf reads the headers and checks who calls.
func (d *Door) callOf(ctx context.Context) (*call, error) {
	c := &call{
		d: d, ctx: ctx, id: header(ctx, "x-mq-client-id"), version: header(ctx, "x-mq-client-version"),
		language: languageOf(header(ctx, "x-mq-language")),
	}
	if p, ok := peer.FromContext(ctx); ok {
		c.from, _ = netip.ParseAddrPort(p.Addr.String())
	}
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(c.id) == "":
		return nil, refuse(v2.Code_CLIENT_ID_REQUIRED, "client id cannot be empty")
	case len(c.id) > maxClientID:
		return nil, refuse(v2.Code_CLIENT_ID_REQUIRED, "client id is longer than %d bytes", maxClientID)
	}
	return c, nil
}

// languageOf is the name that the tables of clients have.
//
// Differs from Java: a language that is not known is OTHER; there a heartbeat with it fails.
func languageOf(header string) string {
	switch header {
	case "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS":
		return header
	}
	return "OTHER"
}

// authenticate checks the signature. Without users the header is not looked at: some clients sign with nothing.
func (c *call) authenticate() error {
	g := c.d.o.Guard
	if g == nil || !g.Authenticates() && !g.Authorizes() {
		return nil
	}
	var sum []byte
	c.user, sum, c.named = credentials(header(c.ctx, "authorization"))
	var err error
	c.account, err = g.AuthenticateText(c.user, header(c.ctx, "x-mq-date-time"), sum, c.from.Addr())
	if err != nil {
		return refuse(v2.Code_UNAUTHORIZED, "%s", err.Error())
	}
	return nil
}

// credentials takes an authorization header apart: scheme, then Credential=KEY/..., SignedHeaders=..., Signature=HEX with commas. The
// scheme is not looked at, as in Java.
func credentials(h string) (user string, sum []byte, named bool) {
	_, rest, _ := strings.Cut(h, " ")
	for part := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Credential":
			user, _, _ = strings.Cut(v, "/")
			named = user != ""
		case "Signature":
			sum, _ = hex.DecodeString(v) // what is none matches nothing
		}
	}
	return user, sum, named
}

// may checks a permission.
func (c *call) may(what auth.Resource, actions ...auth.Action) error {
	g := c.d.o.Guard
	if g == nil || !g.Authorizes() {
		return nil
	}
	if err := g.Authorize(c.account, []byte(c.user), c.named, &what, auth.ActionsOf(actions...), c.from.Addr()); err != nil {
		return refuse(v2.Code_UNAUTHORIZED, "%s", err.Error())
	}
	return nil
}

func (c *call) mayPublish(topic string) error { return c.may(auth.Topic(topic), auth.Pub) }

// mayConsume checks a group and, if there is one, a topic.
func (c *call) mayConsume(group, topic string) error {
	if err := c.may(auth.Group(group), auth.Sub); err != nil || topic == "" {
		return err
	}
	return c.may(auth.Topic(topic), auth.Sub)
}
