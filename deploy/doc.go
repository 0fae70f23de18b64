// Package deploy holds what CometMQ is shipped with: image, packages, compose files, units, example configuration. Its tests
// look at those files; what needs a container engine is tested by `make image-test`.
package deploy
