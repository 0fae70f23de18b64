// Package cometmq runs a whole message queue inside a Go program: a name server and a broker that clients of Apache RocketMQ
// use as they use a real one. It is for tests, for tools and for small programs that bring their own queue.
//
//	s, err := cometmq.Start(ctx, cometmq.WithTopics("orders"))
//	...
//	defer s.Shutdown(context.Background())
//	// clients connect to s.NamesrvAddr(); the program itself may use s.Send and s.Receive
//
// Without options the server keeps everything in memory and listens on free ports of the loopback interface. WithDir keeps the
// store on disk, in the layout that the cometmq command and Java's broker have: what one of them has left, the other takes over.
//
// Many servers may live in one process; they share nothing. Package cometmqtest starts one for the length of a test, if it is
// to be with a virtual clock.
//
// The types here are the public interface of the project and change only as its version says. None of them names a type of an internal
// package.
package cometmq
