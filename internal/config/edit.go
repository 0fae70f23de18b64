package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Edit sets values in the text of a properties file. Everything else stays as it is, comments and order too: the last line with a
// key, which is the one that counts, is replaced, and keys that are not there are added at the end.
func Edit(file []byte, values map[string]string) []byte {
	eol := "\n"
	if bytes.Contains(file, []byte("\r\n")) {
		eol = "\r\n"
	}
	lines := logicalLines(file)
	last := map[string]int{}
	for i, line := range lines {
		if key, ok := lineKey(line); ok {
			last[key] = i
		}
	}
	var out bytes.Buffer
	for i, line := range lines {
		key, ok := lineKey(line)
		v, wanted := values[key]
		if !ok || !wanted || last[key] != i {
			out.Write(line)
			continue
		}
		out.WriteString(escape(key, true) + "=" + escape(v, false) + eol)
	}
	if n := out.Len(); n > 0 && out.Bytes()[n-1] != '\n' {
		out.WriteString(eol)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, there := last[key]; !there {
			out.WriteString(escape(key, true) + "=" + escape(values[key], false) + eol)
		}
	}
	return out.Bytes()
}

// logicalLines splits a file into its lines with their ends; one that ends with a backslash goes on in the next.
func logicalLines(file []byte) [][]byte {
	var out [][]byte
	for len(file) > 0 {
		n := nextLine(file)
		if !isComment(file[:n]) {
			for n < len(file) && continues(file[:n]) {
				n += nextLine(file[n:])
			}
		}
		out = append(out, file[:n])
		file = file[n:]
	}
	return out
}

func nextLine(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// isComment reports whether a line is one or has nothing in it.
func isComment(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#' || line[0] == '!'
}

// continues reports whether a line ends with an odd number of backslashes.
func continues(line []byte) bool {
	line = bytes.TrimRight(line, "\r\n")
	return (len(line)-len(bytes.TrimRight(line, `\`)))%2 == 1
}

// lineKey returns the key of a line; ok = false: it has none.
func lineKey(line []byte) (key string, ok bool) {
	if isComment(line) {
		return "", false
	}
	var b strings.Builder
	line = bytes.TrimLeft(line, " \t\f")
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '=', ':', ' ', '\t', '\f', '\r', '\n':
			return b.String(), true
		case '\\':
			if r := unicodeEscape(line[i:]); r != 0 {
				b.WriteRune(r)
				i += 5
			} else if i++; i < len(line) {
				b.WriteByte(line[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}
