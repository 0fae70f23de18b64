package cometmqtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq"
	"github.com/cometmq/cometmq/cometmqtest"
)

func ExampleStart() {
	_ = func(t *testing.T) { // a test of yours
		s := cometmqtest.Start(t, cometmq.WithTopics("orders"), cometmq.WithGroups("billing"))
		t.Log("clients connect to", s.NamesrvAddr())
	}
}

func ExampleVirtual() {
	_ = func(t *testing.T) { // a test of yours
		synctest.Test(t, func(t *testing.T) {
			s := cometmqtest.Start(t, cometmqtest.Virtual(), cometmq.WithTopics("reminders"))
			_, err := s.Send(t.Context(), cometmq.Message{Topic: "reminders", Body: []byte("tea"), DeliverAt: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.Receive(t.Context(), "kitchen", "reminders", time.Minute) // an hour later, in milliseconds
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", d.Body)
		})
	}
}
