package admin

import (
	"encoding/binary"
	"fmt"
)

func dumpCommand() Command {
	return Command{
		Name: "dumpCompactionLog", About: "Print the messages of a file of a compaction log", Run: dumpLog, Local: true,
		Flags: []Flag{need("f", "file", "the file")},
	}
}

// dumpLog ends where the file does, or at the first thing that is no message: files have a rest of zeros.
func dumpLog(c *Call) error {
	data, err := c.env.ReadFile(c.Str("f"))
	if err != nil {
		return err
	}
	c.streams = true
	for at := 0; len(data)-at >= 4; {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		if size == 0 {
			return nil
		}
		if size > int64(len(data)-at) {
			return fmt.Errorf("%s at %d: a message of %d bytes, and %d are left", c.Str("f"), at, size, len(data)-at)
		}
		m, n, err := decode("", data[at:at+int(size)])
		if err != nil {
			return fmt.Errorf("%s at %d: %w", c.Str("f"), at, err)
		}
		if err := c.Stream(m, "%s\n", m.text("null", "null")); err != nil {
			return err
		}
		at += n
	}
	return nil
}
