package cli

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
)

// tlsFlags say how a command that is a client reaches its cluster.
type tlsFlags struct {
	on, insecure  bool
	ca, cert, key string
}

func (f *tlsFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.on, "tls", false, "use TLS; the server must have a certificate for its name that this machine believes")
	fl.StringVar(&f.ca, "tls-ca", "", "the server's certificate must be signed by an authority in this file; implies --tls")
	fl.StringVar(&f.cert, "tls-cert", "", "certificate to show, PEM, with --tls-key; implies --tls")
	fl.StringVar(&f.key, "tls-key", "", "its private key, PEM; $COMETMQ_TLS_CLIENT_KEY_PASSWORD opens it")
	fl.BoolVar(&f.insecure, "tls-insecure", false, "believe every server; implies --tls")
}

// dialer is what the flags, the environment and Java's tls.properties come to, nil without TLS.
//
// Differs from Java: mqadmin believes every server unless it is told otherwise. Here --tls means a server that can be checked.
func (f *tlsFlags) dialer(environ []string) (func(ctx context.Context, network, addr string) (net.Conn, error), error) {
	set := map[string]string{}
	if f.on || f.insecure || f.ca != "" || f.cert != "" || f.key != "" {
		set["useTLS"] = "true"
	}
	for key, value := range map[string]string{"tls.client.trustCertPath": f.ca, "tls.client.certPath": f.cert, "tls.client.keyPath": f.key} {
		if value != "" {
			set[key] = value
		}
	}
	c, _, err := config.LoadTLS(config.Sources{Env: environ, Flags: set})
	if err != nil {
		return nil, err
	}
	switch {
	case f.insecure && f.ca != "":
		return nil, usageError{errors.New("--tls-insecure and --tls-ca do not go together")}
	case f.insecure:
		c.ClientTrust, c.ClientVerify, c.ClientHost = "", false, false
	case f.on && c.ClientTrust == "":
		c.ClientVerify, c.ClientHost = true, true
	}
	return node.Dialer(c, (&net.Dialer{Timeout: 3 * time.Second}).DialContext)
}
