// Package abuse does to the open ports of a name server, a broker and a controller what only an enemy or a broken peer does: every request
// with missing, extra, oversized and ill-typed fields in both serialisations, frames that are cut or lie about their length, requests
// that are replayed or whose signature was taken away, connections that send a byte now and then, floods of bad authentications, and
// forged conversations on the ports for slaves and controllers.
//
// What must hold: no panic, an answer to each request or an orderly end of its connection, no trace of a request that was refused, nobody
// else disturbed, and afterwards as many goroutines and descriptors as before and no more memory.
//
// The gate runs a short form; `make abuse` the long one. Both print what they did.
package abuse
