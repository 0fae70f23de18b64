package abuse

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
)

func secured(t *testing.T) *world {
	t.Helper()
	return start(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
		"authenticationFailureBurst": "0",
	})
}

// TestSignaturesAreOfTheWholeRequest: a signed request whose body or fields were changed, or whose signature was taken away or is another
// one's, is refused, whatever it asks. One that is sent again as it was is not: the wire form of Java has nothing that would tell, which
// is what TLS is for.
func TestSignaturesAreOfTheWholeRequest(t *testing.T) {
	w := secured(t)
	beside := w.dial(w.addr("broker"))
	was := beside.state("broker")
	f, body := sendFields("T"), []byte("hello")
	signed := slices.Concat(f, root.Sign(f, body))
	set := func(key, value string) protocol.Fields {
		out := slices.Clone(signed)
		for i := range out {
			if string(out[i].Key) == key {
				out[i].Val = []byte(value)
			}
		}
		return out
	}
	without := func(key string) protocol.Fields {
		return slices.DeleteFunc(slices.Clone(signed), func(x protocol.Field) bool { return string(x.Key) == key })
	}
	guess := auth.Credentials{AccessKey: "root", SecretKey: "guess"}
	stranger := auth.Credentials{AccessKey: "nobody", SecretKey: "root-secret"}
	type forged struct {
		name string
		f    protocol.Fields
		body []byte
	}
	list := []forged{
		{"no signature", without(auth.FieldSignature), body},
		{"no user", without(auth.FieldAccessKey), body},
		{"neither", f, body},
		{"empty signature", set(auth.FieldSignature, ""), body},
		{"another user", set(auth.FieldAccessKey, "nobody"), body},
		{"another secret", slices.Concat(f, guess.Sign(f, body)), body},
		{"a user that is none", slices.Concat(f, stranger.Sign(f, body)), body},
		{"body", signed, []byte("hellO")},
		{"no body", signed, nil},
		{"longer body", signed, []byte("hello!")},
		{"one field more", slices.Concat(signed, fields("z", "1")), body},
		{"a field twice", slices.Concat(signed, fields("b", "T")), body},
		{"user twice", slices.Concat(signed, fields(auth.FieldAccessKey, "root")), body},
		{"signature in other letters", set(auth.FieldSignature, strings.ToUpper(string(signed[len(signed)-1].Val))), body},
	}
	for _, x := range f {
		list = append(list, forged{"other " + string(x.Key), set(string(x.Key), string(x.Val)+"1"), body})
		if len(x.Val) > 0 {
			list = append(list, forged{"without " + string(x.Key), without(string(x.Key)), body})
		}
	}
	for _, s := range []protocol.Serial{protocol.JSON, protocol.Binary} {
		c := w.dial(w.addr("broker"))
		c.sign, c.serial = nil, s
		for _, x := range list {
			a, err := c.ask(protocol.ReqSendMessageV2, x.f, x.body)
			must(t, err)
			if a.code != protocol.RespNoPermission {
				t.Errorf("%s: answered %d %s", x.name, a.code, a.remark)
			}
			count("forged or stripped signatures", 1)
		}
		c.close()
	}
	if now := beside.state("broker"); now != was {
		t.Errorf("a forged request has changed something:\n%s", difference(was, now))
	}
	c := w.dial(w.addr("broker"))
	c.sign = nil
	for range 2 {
		c.want(0, protocol.ReqSendMessageV2, signed, body)
	}
	c.close()
	beside.close()
}

// TestNothingIsServedUnsigned: with authentication every code is refused to who does not sign, without a look at the rest.
func TestNothingIsServedUnsigned(t *testing.T) {
	w := secured(t)
	beside := w.dial(w.addr("broker"))
	was := beside.state("broker")
	hs := headers(t)
	c := w.dial(w.addr("broker"))
	c.sign = nil
	for _, code := range protocol.RequestCodes() {
		var f protocol.Fields
		for _, h := range hs[code] {
			f = append(f, fields(h.key, good(h))...)
		}
		a, err := c.ask(code, f, []byte("{}"))
		must(t, err)
		if a.code != protocol.RespNoPermission {
			t.Errorf("%s (%d) unsigned: %d %s", protocol.RequestName(code), code, a.code, a.remark)
		}
		count("codes refused unsigned", 1)
	}
	c.close()
	if now := beside.state("broker"); now != was {
		t.Errorf("an unsigned request has changed something:\n%s", difference(was, now))
	}
	beside.close()
}

// TestAFloodOfBadAuthentications: many of them, over few connections, in bursts. All are refused, and who signs is served meanwhile.
func TestAFloodOfBadAuthentications(t *testing.T) {
	w := start(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
	})
	n := 10_000
	if *long {
		n = 100_000
	}
	const burst = 100
	before := heap()
	guess := auth.Credentials{AccessKey: "mallory", SecretKey: "guess"}
	beside := w.dial(w.addr("broker"))
	c := w.dial(w.addr("broker"))
	reasons := map[string]int{}
	for i := 0; i < n; i += burst {
		var b []byte
		for k := range burst {
			guess.AccessKey = "mallory" + strconv.Itoa((i+k)%1000)
			f := sendFields("T")
			b = append(b, frame(protocol.Binary, protocol.ReqSendMessageV2, int32(i+k), slices.Concat(f, guess.Sign(f, nil)), nil)...)
		}
		_, err := c.nc.Write(b)
		must(t, err)
		for range burst {
			a, err := c.read()
			must(t, err)
			if a.code != protocol.RespNoPermission {
				t.Fatalf("%d %s", a.code, a.remark)
			}
			word, _, _ := strings.Cut(a.remark, " ")
			reasons[word]++
		}
		if i%(n/10) == 0 {
			beside.want(0, protocol.ReqSendMessageV2, sendFields("T"), []byte("hello"))
		}
	}
	if reasons["too"] < n/2 {
		t.Errorf("hardly any was refused unread: %v", reasons)
	}
	count("bad authentications", int64(n))
	if now := heap(); now > before+(16<<20) {
		t.Errorf("%d KiB more are kept", (now-before)>>10)
	}
	c.close()
	beside.close()
}
