package member_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

func write(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	if err := fs.MkdirAll("/store"); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, name, []byte(text), false); err != nil {
		t.Fatal(err)
	}
}

func TestIdentityOfAStoreIsKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, temp, want, logged string }{
		{"of a Java broker", "C#broker-a#5", "", "C#broker-a#5", ""},
		{"with a line end", "C#broker-a#5\n", "", "C#broker-a#5\n", ""},
		{"and a claim that was fulfilled", "C#broker-a#5", "C#broker-a#5#10.0.1.1:10911;7", "C#broker-a#5", ""},
		{"of another cluster", "D#broker-a#5", "", "D#broker-a#5", "brokerClusterName=D, this broker's is C"},
		{"of another set", "C#broker-b#5", "", "C#broker-b#5", "brokerName=broker-b, this broker's is broker-a"},
		{"that is none", "C;broker-a;5", "", "C;broker-a;5", "has 1 parts divided by #"},
		{"with a bad number", "C#broker-a#0", "", "C#broker-a#0", "number from 1"},
		{"that nobody knows", "C#broker-a#9", "", "C#broker-a#9", "the controllers do not know number 9 of broker-a"},
		{"that is empty", "", "", "C#broker-a#6", ""},
		{"that was claimed", "", "C#broker-a#6#10.0.1.1:10911;7", "C#broker-a#6", ""},
		{"that was claimed and given away", "", "C#broker-a#5#10.0.1.1:10911;8", "C#broker-a#6", "2014"},
		{"that was claimed by another set", "", "C#broker-b#6#10.0.1.1:10911;7", "-", "brokerName=broker-b"},
		{"with a claim that is none", "", "C#broker-a#6", "-", "has 3 parts divided by #"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
				t.Helper()
				w.q.ids[5], w.q.next = assigned{w.nodes[0].addr(), "10.0.1.1:10911;7"}, 6
				a := w.nodes[0]
				if tt.file != "" || tt.temp == "" {
					write(t, a.fs, idFile, tt.file)
				}
				if tt.temp != "" {
					write(t, a.fs, idFile+"-temp", tt.temp)
				}
				a.start()
				time.Sleep(20 * time.Second)
				if got := a.file(idFile); got != tt.want {
					t.Errorf("identity %q, want %q", got, tt.want)
				}
				refused := tt.logged != "" && tt.logged != "2014"
				if got := a.m.State().Registered; got == refused {
					t.Errorf("registered: %v", got)
				}
				if !refused && a.file(idFile+"-temp") != "-" {
					t.Error("the claim is still there")
				}
				if tt.logged != "" && w.log.count(tt.logged) == 0 {
					t.Errorf("not logged: %s", tt.logged)
				}
			})
		})
	}
}

func TestTheSameNumberIsClaimedAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.nodes[0]
		w.q.refuse[protocol.ReqControllerApplyBrokerID] = protocol.RespSystemError
		a.start()
		time.Sleep(5 * time.Second)
		claim := a.file(idFile + "-temp")
		if !strings.HasPrefix(claim, "C#broker-a#1#10.0.1.1:10911;") {
			t.Fatalf("claim %q", claim)
		}
		a.kill()
		a.start() // the claim is on disk
		time.Sleep(5 * time.Second)
		if got := a.file(idFile + "-temp"); got != claim {
			t.Errorf("claim %q, was %q", got, claim)
		}
		w.q.mu.Lock()
		delete(w.q.refuse, protocol.ReqControllerApplyBrokerID)
		w.q.mu.Unlock()
		w.until(10*time.Second, "an identity", func() bool { return a.file(idFile) == "C#broker-a#1" })
	})
}

func TestABrokerThatCannotSaveItsIdentityDoesNotRegister(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.nodes[0]
		a.fs.SetCapacity(1)
		a.start()
		time.Sleep(20 * time.Second)
		if a.m.State().Registered || w.q.applied != 0 {
			t.Errorf("registered %v, %d numbers given", a.m.State().Registered, w.q.applied)
		}
		a.fs.SetCapacity(1 << 20)
		w.until(10*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
	})
}
