// Package fastjson reads and writes JSON as Java's fastjson does, which is what RocketMQ puts on the wire and into its
// files, and which is not always JSON.
//
// Output: keys in the order in which the caller writes them (Java's is alphabetical), no whitespace unless Pretty,
// number keys without quotes ({0:"addr"}) unless Standard, whole objects as keys ({{"queueId":0}:5}), doubles as
// Java prints them (1.0E7), text as raw UTF-8 with escapes for control characters, quote and backslash only. These are
// the bytes of fastjson2 as RocketMQ 5.5.0 uses it; where fastjson 1 (up to 5.3) differs, both sides read either.
//
// Input: a tree of Values. Besides JSON the reader takes unquoted keys, single quotes, comments, surplus commas, objects
// as keys, signs and suffixes of numbers, and converts between text, numbers and booleans when asked. Depth and the
// number of values are bounded, the work is linear in the size of the input, and bad bytes are an error with their
// position, never a panic.
//
// Callers: protocol (bodies of the wire) and everything that owns a JSON file.
package fastjson
