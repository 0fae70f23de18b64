package certificate

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/certs"
)

func TestWhoIsBelieved(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	d.put("other-ca", certs.NewAuthority(t, "other").PEM, time.Unix(1, 0))
	cert, key := certs.NewAuthority(t, "third").Issue(t, "stranger", farAway)
	d.put("stranger.pem", cert, time.Unix(1, 0))
	d.put("stranger.key", key, time.Unix(1, 0))
	stranger := Files{Cert: "stranger.pem", Key: "stranger.key"}
	trusting := Files{Cert: "server.pem", Key: "server.key", Trust: "ca"}
	for _, tc := range []struct {
		name           string
		server, client Options
		dial           string
		want           string // "" or what one of both says
	}{
		{"Java's default client believes everybody", Options{Server: serverFiles}, Options{}, "x", ""},
		{"a self-signed certificate", Options{SelfSigned: true, Server: serverFiles}, Options{}, "x", ""},
		{"a self-signed certificate and a client that checks", Options{SelfSigned: true}, Options{Client: Files{Trust: "ca"}}, "x", "unknown authority"},
		{"the authority is known", Options{Server: serverFiles}, Options{Client: Files{Trust: "ca"}}, "x", ""},
		{"another authority", Options{Server: serverFiles}, Options{Client: Files{Trust: "other-ca"}}, "x", "unknown authority"},
		{"the machine's authorities", Options{Server: serverFiles}, Options{VerifyServer: true}, "x", "unknown authority"},
		{"the right name", Options{Server: serverFiles}, Options{Client: Files{Trust: "ca"}, VerifyHost: true}, "server", ""},
		{"the wrong name", Options{Server: serverFiles}, Options{Client: Files{Trust: "ca"}, VerifyHost: true}, "x", "not x"},
		{"a client must show something", Options{Server: trusting, Ask: AskRequired}, Options{}, "x", "certificate required"},
		{"a client shows a known certificate", Options{Server: trusting, Ask: AskRequired}, Options{Client: clientFiles}, "x", ""},
		{"a client shows an unknown certificate", Options{Server: trusting, Ask: AskRequired}, Options{Client: stranger}, "x", "unknown authority"},
		{"an optional certificate is not there", Options{Server: trusting, Ask: AskOptional}, Options{}, "x", ""},
		{"an optional certificate is unknown", Options{Server: trusting, Ask: AskOptional}, Options{Client: stranger}, "x", "unknown authority"},
		{"Java without trust: any certificate will do", Options{Server: serverFiles, Ask: AskRequired}, Options{Client: stranger}, "x", ""},
		{"Java without trust: some certificate is needed", Options{Server: serverFiles, Ask: AskRequired}, Options{}, "x", "certificate"},
		{"authClient without trust: the machine's authorities", Options{Server: serverFiles, Ask: AskRequired, VerifyClient: true}, Options{Client: stranger}, "x", "unknown authority"},
		{"test mode asks clients for nothing", Options{SelfSigned: true, Ask: AskRequired}, Options{}, "x", ""},
		{"versions that do not meet", Options{Server: serverFiles, MinVersion: tls13}, Options{MaxVersion: tls12}, "x", "version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.server.Disk, tc.client.Disk = d, d
			_, serverErr, clientErr := shake(t, mustOpen(t, tc.server), mustOpen(t, tc.client), tc.dial)
			all := ""
			for _, err := range []error{serverErr, clientErr} {
				if err != nil {
					all += err.Error() + "\n"
				}
			}
			if tc.want == "" && all != "" || tc.want != "" && (clientErr == nil || !strings.Contains(all, tc.want)) {
				t.Errorf("want %q, got %q", tc.want, all)
			}
		})
	}
}

func TestExpiredCertificatesAreRefusedAndSaid(t *testing.T) {
	t.Parallel()
	d, a := world(t)
	cert, key := a.Issue(t, "server", time.Unix(1000, 0))
	d.put("server.pem", cert, time.Unix(2, 0))
	d.put("server.key", key, time.Unix(2, 0))
	var log syncBuffer
	late := func() time.Time { return time.Unix(2000, 0) }
	server := mustOpen(t, Options{Disk: d, Server: serverFiles, Log: logTo(&log), Now: late})
	if log.count("the certificate has expired") != 1 {
		t.Error("not said")
	}
	if _, _, err := shake(t, server, mustOpen(t, Options{Disk: d, Client: Files{Trust: "ca"}, Now: late}), "x"); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("%v", err)
	}
	mustOpen(t, Options{Disk: d, Server: serverFiles, Log: logTo(&log), Now: func() time.Time { return time.Unix(900, 0) }})
	if log.count("expires soon") != 1 {
		t.Error("not warned")
	}
}

// TestFilesAreFollowed runs in virtual time.
func TestFilesAreFollowed(t *testing.T) {
	t.Parallel()
	d, a := world(t)
	first, firstKey := d.files["server.pem"].data, d.files["server.key"].data
	second, secondKey := a.Issue(t, "server", farAway.Add(time.Hour))
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		k := mustOpen(t, Options{Disk: d, Server: serverFiles, Log: logTo(&log), Poll: time.Second, Now: func() time.Time { return time.Unix(1<<31, 0) }})
		client := mustOpen(t, Options{Disk: d, Client: Files{Trust: "ca"}, Now: k.o.Now})
		ctx, stop := withCancel(t)
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		expect := func(when string, want time.Time, reloads, failures int64) {
			t.Helper()
			synctest.Wait()
			shown, serverErr, err := shake(t, k, client, "server")
			if err != nil || serverErr != nil {
				t.Fatalf("%s: %v, %v", when, serverErr, err)
			}
			f := k.Figures()[0]
			if !shown.NotAfter.Equal(want) || !f.Expires.Equal(want) || f.Reloads != reloads || f.Failures != failures {
				t.Errorf("%s: shown until %v, figures %+v", when, shown.NotAfter, f)
			}
		}
		expect("at first", farAway, 0, 0)
		d.put("server.pem", second, time.Unix(5, 0))
		time.Sleep(1500 * time.Millisecond)
		expect("half of the pair, one look", farAway, 0, 0)
		d.put("server.key", secondKey, time.Unix(6, 0))
		time.Sleep(1100 * time.Millisecond)
		expect("both, one look", farAway, 0, 0)
		time.Sleep(time.Second)
		expect("both, two looks", farAway.Add(time.Hour), 1, 0)

		d.put("server.pem", first[:len(first)/2], time.Unix(7, 0))
		time.Sleep(10 * time.Second)
		expect("a broken file", farAway.Add(time.Hour), 1, 1)
		if n := log.count("cannot be used"); n != 1 {
			t.Errorf("%d lines about a file that is broken once", n)
		}
		d.put("server.pem", first, time.Unix(8, 0)) // with the key of the second
		time.Sleep(10 * time.Second)
		expect("a pair that does not fit", farAway.Add(time.Hour), 1, 2)
		d.put("server.key", firstKey, time.Unix(9, 0))
		time.Sleep(10 * time.Second)
		expect("mended", farAway, 2, 2)
		stop()
		<-done
	})
}

// TestTrustIsFollowedOnBothSides: authorities change, then the certificates of both.
func TestTrustIsFollowedOnBothSides(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	other := certs.NewAuthority(t, "other")
	synctest.Test(t, func(t *testing.T) {
		now := func() time.Time { return time.Unix(1<<31, 0) }
		server := mustOpen(t, Options{Disk: d, Server: Files{Cert: "server.pem", Key: "server.key", Trust: "ca"}, Ask: AskRequired, Poll: time.Second, Now: now})
		client := mustOpen(t, Options{Disk: d, Client: clientFiles, Poll: time.Second, Now: now})
		ctx, stop := withCancel(t)
		done := make(chan error, 2)
		for _, k := range []*Keeper{server, client} {
			go func() { done <- k.Run(ctx) }()
		}
		if _, _, err := shake(t, server, client, "x"); err != nil {
			t.Fatal(err)
		}
		d.put("ca", other.PEM, time.Unix(2, 0))
		time.Sleep(5 * time.Second)
		if _, _, err := shake(t, server, client, "x"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("the server: %v", err)
		}
		for _, n := range []string{"server", "client"} {
			cert, key := other.Issue(t, n, farAway)
			d.put(n+".pem", cert, time.Unix(3, 0))
			d.put(n+".key", key, time.Unix(3, 0))
		}
		time.Sleep(5 * time.Second)
		if _, serverErr, err := shake(t, server, client, "x"); err != nil || serverErr != nil {
			t.Errorf("%v, %v", serverErr, err)
		}
		stop()
		<-done
		<-done
	})
}
