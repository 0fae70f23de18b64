//go:build !noconsole

package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS is the built console: index.html, comet.svg and assets/, whose names carry a hash of their content and may be
// cached for ever. It is nil in binaries built with the tag noconsole.
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}
