package config

// AMQP is the door for AMQP 1.0 clients, of which JMS is one, which Java's broker has not. Its port is served by a master only.
type AMQP struct {
	On       bool  `key:"enableAmqp" doc:"serve AMQP 1.0, for JMS by Apache Qpid JMS and for other clients"`
	Port     int   `key:"amqpPort" min:"0" max:"65535" doc:"port for AMQP, with or without TLS as tls.server.mode says; 0 = any free port"`
	MaxConns int   `key:"amqpMaxConnections" min:"1" max:"10000000" doc:"most AMQP connections; what comes above is closed"`
	Queues   int32 `key:"amqpQueuePartitions" min:"1" max:"1024" doc:"queues of a topic that is made because an AMQP client names it; only messages of one queue have an order"`
	Plain    bool  `key:"amqpPlainPasswords" doc:"clients elsewhere may log in with PLAIN on connections without TLS, too, where everybody on the way reads the password; others have SCRAM"`
	Text     bool  `key:"amqpDefaultText" doc:"messages of other clients that are UTF-8 are text for AMQP clients, else bytes unless they say what they are"`
}

// defaultAMQP returns the defaults.
func defaultAMQP() AMQP {
	return AMQP{Port: 5672, MaxConns: 10_000, Queues: 1}
}
