// Command sbom prints the bill of materials of a Go program as CycloneDX JSON, from what the linker has put into it: exactly the modules
// whose code is in the program, with their checksums.
//
//	sbom PROGRAM
package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Package string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM")
		os.Exit(2)
	}
	bi, err := buildinfo.ReadFile(os.Args[1])
	if err == nil {
		err = write(os.Stdout, bi)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(w io.Writer, bi *debug.BuildInfo) error {
	b := bom{Format: "CycloneDX", Spec: "1.5", Version: 1, Components: []component{}}
	b.Metadata.Component = of("application", &bi.Main)
	for _, m := range bi.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Components = append(b.Components, of("library", m))
	}
	std := strings.TrimPrefix(bi.GoVersion, "go")
	b.Components = append(b.Components, of("library", &debug.Module{Path: "std", Version: std}))
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}

// of describes a module. Its checksum is Go's, of the tree of its files ("h1").
func of(kind string, m *debug.Module) component {
	name := "pkg:golang/" + m.Path + "@" + m.Version
	c := component{Type: kind, Ref: name, Name: m.Path, Version: m.Version, Package: name}
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == 32 {
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
	}
	return c
}
