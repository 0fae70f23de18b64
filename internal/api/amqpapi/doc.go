// Package amqpapi is the AMQP 1.0 door: it translates between links and mq.Service, so that JMS clients (Apache Qpid JMS) and other
// AMQP 1.0 clients share messages with all other clients.
//
//	stored.go     an AMQP message as a stored message, and back
//	typed.go      application properties as properties of a stored message, with their types
//	address.go    what an address names
//	refusals.go   kinds of errors as AMQP conditions
//
// The protocol itself is in package amqp10.
package amqpapi
