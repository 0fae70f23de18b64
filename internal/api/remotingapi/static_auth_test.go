package remotingapi

import (
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

func TestStaticTopicNeedsWhatATopicNeeds(t *testing.T) {
	t.Parallel()
	var h protocol.Header
	if err := h.DecodeJSON([]byte(`{"code":513,"extFields":{"topic":"T"}}`)); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int32{protocol.ReqUpdateAndCreateTopic, protocol.ReqUpdateAndCreateStaticTopic} {
		r := &remoting.Request{}
		r.Code, r.Fields = code, h.Fields
		list, err := Needs(r, "c")
		if err != nil || len(list) != 1 || list[0] != "Topic:T Create" {
			t.Errorf("code %d needs %q, %v", code, list, err)
		}
	}
}
