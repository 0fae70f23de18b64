// Package liveprops is the configuration of a server as Java's tools read and change it while it runs: properties text on the wire, all
// keys in the answer, a list of keys that no request changes, and the operator's file, whose comments stay.
//
// Name server and controller keep their settings in a Table and derive what they need from it. The broker has typed keys
// (internal/config) and shares the text.
package liveprops
