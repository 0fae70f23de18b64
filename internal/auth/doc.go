// Package auth decides who may do what: users with secrets, signatures of requests, and the policies of a user (Java's ACL 2.0).
// It knows no connection: a door turns a request into signed fields and into pairs of resource and actions, and asks a Guard.
//
//   - sign.go     the signature of a request (Java's ACL 1.0 wire form, which 2.0 kept)
//   - model.go    users, resources, actions, policies, and their texts on the wire
//   - decide.go   which entry of a user's policies decides, as Java's AclAuthorizationHandler
//   - guard.go    Authenticate and Authorize, and the limit on failed attempts
//   - manage.go   changes of users and policies, each with an audit line
//   - store.go    the file they are kept in
//   - plain.go    plain_acl.yml of Java's ACL 1.0
//
// Invariants:
//   - A decision is taken on one snapshot of users and policies; a change makes a new snapshot once it is on disk.
//   - Secrets are kept in clear, since the signature needs them, in a file of mode 0600; they are never logged, audited or returned.
//   - Nothing on the way of an allowed request allocates.
package auth
