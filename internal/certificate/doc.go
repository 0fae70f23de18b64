// Package certificate keeps what TLS needs: the certificate that this process shows, those that it believes, and the files of both,
// which it follows while it runs. It knows the keys of Java's tls.properties by their meaning only (package config reads them).
//
//   - keeper.go     Keeper: loads the files, watches them, hands out the settings of handshakes
//   - files.go      PEM files: certificates, keys in PKCS#1, PKCS#8 and SEC 1
//   - encrypted.go  keys in encrypted PKCS#8, the kinds that openssl and Java write
//   - conn.go       connections of both directions: a Listener that takes TLS, plain bytes or both on one port, and a dialer
//
// Invariants:
//   - A handshake sees one state of the files, certificate and key from the same look.
//   - Files that cannot be used change nothing: what was loaded last stays in force, with one line in the log for each content.
//   - A change of the files touches no connection that is open.
//   - Accept never waits for a peer: what a connection is, is found out by whoever reads it first, within a deadline.
package certificate
