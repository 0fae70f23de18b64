package cli

import (
	"cmp"
	"context"
	"fmt"
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
	name          string // of the flags: tls, or what stands before it where a command has a certificate of its own
}

func (f *tlsFlags) bind(cmd *cobra.Command) { f.bindAs(cmd, "tls") }

func (f *tlsFlags) bindAs(cmd *cobra.Command, name string) {
	f.name = name
	fl := cmd.Flags()
	fl.BoolVar(&f.on, name, false, "use TLS; the server must have a certificate for its name that this machine believes")
	fl.StringVar(&f.ca, name+"-ca", "", "the server's certificate must be signed by an authority in this file; implies --"+name)
	fl.StringVar(&f.cert, name+"-cert", "", "certificate to show, PEM, with --"+name+"-key; implies --"+name)
	fl.StringVar(&f.key, name+"-key", "", "its private key, PEM; $COMETMQ_TLS_CLIENT_KEY_PASSWORD opens it")
	fl.BoolVar(&f.insecure, name+"-insecure", false, "believe every server; implies --"+name)
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
		return nil, usageError{fmt.Errorf("--%[1]s-insecure and --%[1]s-ca do not go together", cmp.Or(f.name, "tls"))}
	case f.insecure:
		c.ClientTrust, c.ClientVerify, c.ClientHost = "", false, false
	case f.on && c.ClientTrust == "":
		c.ClientVerify, c.ClientHost = true, true
	}
	return node.Dialer(c, (&net.Dialer{Timeout: 3 * time.Second}).DialContext)
}
