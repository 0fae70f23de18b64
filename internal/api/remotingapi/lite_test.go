package remotingapi

import (
	"slices"
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Java asks for nothing here, so that everybody may pop every lite topic.
func TestLiteTopicsNeedPermission(t *testing.T) {
	t.Parallel()
	var h protocol.Header
	if err := h.DecodeJSON([]byte(`{"code":200070,"extFields":{"topic":"P","consumerGroup":"G"}}`)); err != nil {
		t.Fatal(err)
	}
	body := protocol.LiteSubscriptionCtlRequestBody{Set: []protocol.LiteSubscription{{Topic: "P", Group: "G"}, {Topic: "Q", Group: "H"}}}
	for _, c := range []struct {
		code int32
		want []string
	}{
		{protocol.ReqPopLiteMessage, []string{"Topic:P Sub", "Group:G Sub"}},
		{protocol.ReqLiteSubscriptionCtl, []string{"Topic:P Sub", "Group:G Sub", "Topic:Q Sub", "Group:H Sub"}},
		{protocol.ReqGetBrokerLiteInfo, []string{"Cluster:c Get"}},
		{protocol.ReqGetLiteGroupInfo, []string{"Cluster:c Get"}},
		{protocol.ReqTriggerLiteDispatch, []string{"Cluster:c Update"}},
	} {
		r := &remoting.Request{}
		r.Code, r.Fields = c.code, nil
		if c.code == protocol.ReqPopLiteMessage {
			r.Fields = h.Fields
		}
		if c.code == protocol.ReqLiteSubscriptionCtl {
			r.Body = body.AppendTo(nil, false)
		}
		if got, err := Needs(r, "c"); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("code %d needs %q, %v, want %q", c.code, got, err, c.want)
		}
	}
	bad := &remoting.Request{}
	bad.Code, bad.Body = protocol.ReqLiteSubscriptionCtl, []byte("{")
	if _, err := Needs(bad, "c"); err == nil {
		t.Error("a body that cannot be read is let through")
	}
}
