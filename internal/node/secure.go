package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/cometmq/cometmq/internal/certificate"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// secure is TLS of one role: what its ports take, and how it talks to others.
type secure struct {
	keeper *certificate.Keeper
	mode   remoting.TLSMode
	client bool
	log    *slog.Logger
}

var asks = map[string]certificate.Ask{config.AskOptional: certificate.AskOptional, config.AskRequire: certificate.AskRequired}

// openSecure loads the certificates that c names.
func openSecure(c *config.TLS, log *slog.Logger) (*secure, error) {
	o := certificate.Options{
		Client: certificate.Files{Cert: c.ClientCert, Key: c.ClientKey, Password: c.ClientPassword, Trust: c.ClientTrust},
		Ask:    asks[c.Ask], VerifyClient: c.Verify, VerifyServer: c.ClientVerify, VerifyHost: c.ClientHost,
		MinVersion: c.MinVersion, MaxVersion: c.MaxVersion, Ciphers: c.Suites, Poll: c.Poll, Log: log,
	}
	mode, _ := remoting.ParseTLSMode(c.Mode) // config knows the words
	if mode != remoting.TLSDisabled {
		o.Server = certificate.Files{Cert: c.Cert, Key: c.Key, Password: c.Password, Trust: c.Trust}
		o.SelfSigned = c.Test
	}
	if !c.Client {
		o.Client = certificate.Files{}
	}
	k, err := certificate.Open(o)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &secure{keeper: k, mode: mode, client: c.Client, log: log}, nil
}

// Dialer is how a tool reaches a cluster, nil without TLS: the default of whoever dials. The files are read once.
func Dialer(c *config.TLS, next certificate.Dialer) (certificate.Dialer, error) {
	if !c.Client {
		return nil, nil //nolint:nilnil // none is no error
	}
	own := *c
	own.Mode = config.TLSDisabled // it serves nobody
	s, err := openSecure(&own, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return s.keeper.Dial(next), nil
}

// server is what a remoting server needs.
func (s *secure) server() *tls.Config {
	if s.mode == remoting.TLSDisabled {
		return nil
	}
	return s.keeper.Server()
}

// dial is how other processes are reached by remoting.
func (s *secure) dial(next func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	if !s.client {
		return next
	}
	return s.keeper.Dial(next)
}

// listen makes of l one that takes what the mode says, for protocols without a look at the first byte of their own. refusal tells
// peers without TLS that they need it.
//
// Differs from Java: its page for Prometheus has no TLS.
func (s *secure) listen(l net.Listener, refusal string) net.Listener {
	if s.mode == remoting.TLSDisabled {
		return l
	}
	return certificate.Listen(l, certificate.ListenOptions{
		Config: s.keeper.Server(), Plain: s.mode != remoting.TLSEnforcing, Refusal: []byte(refusal), Log: s.log,
	})
}

// listenHA takes slaves with TLS only.
//
// Differs from Java: it copies the log without encryption always. tls.ha.enable is ours.
func (s *secure) listenHA(l net.Listener) net.Listener {
	return certificate.Listen(l, certificate.ListenOptions{Config: s.keeper.Server(), Log: s.log})
}

// listenMixed takes everything and remembers what was TLS: who serves the connections refuses the others where that is needed.
func (s *secure) listenMixed(l net.Listener) net.Listener {
	if s.mode == remoting.TLSDisabled {
		return l
	}
	return certificate.Listen(l, certificate.ListenOptions{Config: s.keeper.Server(), Plain: true, Log: s.log})
}

// run follows the files until ctx ends.
func (s *secure) run(ctx context.Context) error { return s.keeper.Run(ctx) }

func (s *secure) collect(sink *telemetry.Sink, role string) {
	for _, f := range s.keeper.Figures() {
		if !f.Expires.IsZero() {
			sink.Value(telemetry.CertificateExpires, f.Expires.Sub(s.keeper.Now()).Seconds(), role, f.Side)
		}
		sink.Int(telemetry.CertificateReloads, f.Reloads, role, f.Side)
		sink.Int(telemetry.CertificateFailures, f.Failures, role, f.Side)
	}
}
