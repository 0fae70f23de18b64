package cometmq_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/cometmq/cometmq"
)

func ExampleStart() {
	ctx := context.Background()
	s, err := cometmq.Start(ctx, cometmq.WithTopics("orders"), cometmq.WithGroups("billing"))
	if err != nil {
		log.Print(err)
		return
	}
	defer s.Shutdown(ctx)

	if _, err = s.Send(ctx, cometmq.Message{Topic: "orders", Body: []byte("42"), Tag: "new"}); err != nil {
		log.Print(err)
		return
	}
	d, err := s.Receive(ctx, "billing", "orders", time.Minute)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("%s %s, attempt %d\n", d.Tag, d.Body, d.Attempt)
	if err = d.Ack(ctx); err != nil {
		log.Print(err)
		return
	}
	// Output: new 42, attempt 1
}

func ExampleWithDir() {
	// The directory is that of a broker: `cometmq broker` can take it over, and so can Java's.
	s, err := cometmq.Start(context.Background(), cometmq.WithDir("/var/lib/myprogram/queue"), cometmq.WithPorts(9876, 10911),
		cometmq.WithSetting("fileReservedTime", "24"))
	if err != nil {
		log.Print(err)
		return
	}
	// ... the program ...
	if err = s.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
}

func ExampleServer_Begin() {
	ctx := context.Background()
	s, err := cometmq.Start(ctx, cometmq.WithTopics("payments"), cometmq.WithGroups("ledger"))
	if err != nil {
		log.Print(err)
		return
	}
	defer s.Shutdown(ctx)

	t, err := s.Begin(ctx, "shop", cometmq.Message{Topic: "payments", Body: []byte("7.50")}, nil)
	if err != nil {
		log.Print(err)
		return
	}
	// ... the local part of the work ...
	if err = t.Commit(ctx); err != nil {
		log.Print(err)
		return
	}
	d, err := s.Receive(ctx, "ledger", "payments", time.Minute)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(string(d.Body))
	// Output: 7.50
}
