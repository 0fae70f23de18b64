// Package peer runs unmodified RocketMQ clients and servers against ours: the Java client 5.5.0 and 4.9.8, the Go client v2,
// and Java brokers that open our store directories and the other way round. `make peer` runs it; without a JVM the Java
// parts skip with a reason.
package peer
