//go:build peer

package peer

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cometmq/cometmq/internal/testkit/target"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// Our .proto files say what those say from which Java's classes are made: each message, field, number, type, enum and call.
func TestProtoIsThatOfJava(t *testing.T) {
	t.Parallel()
	jar := filepath.Join(protoJar(t), "rocketmq-proto-2.1.2.jar")
	z, err := zip.OpenReader(jar)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for class, ours := range map[string]*descriptorpb.FileDescriptorProto{
		"MQDomain":  protodesc.ToFileDescriptorProto(v2.File_apache_rocketmq_v2_definition_proto),
		"MQService": protodesc.ToFileDescriptorProto(v2.File_apache_rocketmq_v2_service_proto),
	} {
		f, err := z.Open("apache/rocketmq/v2/" + class + ".class")
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := descriptorIn(data)
		if err != nil {
			t.Fatalf("%s: %v", class, err)
		}
		a, b := facts(ours), facts(theirs)
		for _, line := range slices.Sorted(maps.Keys(b)) {
			if !a[line] {
				t.Errorf("%s: Java has %s", class, line)
			}
		}
		for _, line := range slices.Sorted(maps.Keys(a)) {
			if !b[line] {
				t.Errorf("%s: only ours has %s", class, line)
			}
		}
		if len(b) < 100 {
			t.Errorf("%s: only %d facts", class, len(b))
		}
	}
}

// protoJar is the folder of the jar.
func protoJar(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(target.Cache(), "proto-2.1.2")
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		t.Skipf("no jar in %s: run `make setup`", dir)
	}
	return dir
}

// facts lists what a file says, one thing a line.
func facts(f *descriptorpb.FileDescriptorProto) map[string]bool {
	all := map[string]bool{"package " + f.GetPackage(): true}
	enum := func(in string, e *descriptorpb.EnumDescriptorProto) {
		for _, v := range e.GetValue() {
			all[fmt.Sprintf("enum %s%s: %s = %d", in, e.GetName(), v.GetName(), v.GetNumber())] = true
		}
	}
	var message func(in string, m *descriptorpb.DescriptorProto)
	message = func(in string, m *descriptorpb.DescriptorProto) {
		name := in + m.GetName()
		all["message "+name] = true
		for _, x := range m.GetField() {
			one := ""
			if x.OneofIndex != nil {
				one = " of " + m.GetOneofDecl()[x.GetOneofIndex()].GetName()
			}
			all[fmt.Sprintf("field %s.%s = %d: %s %s %s optional=%v%s", name, x.GetName(), x.GetNumber(), x.GetLabel(), x.GetType(), x.GetTypeName(),
				x.GetProto3Optional(), one)] = true
		}
		for _, e := range m.GetEnumType() {
			enum(name+".", e)
		}
		for _, n := range m.GetNestedType() {
			message(name+".", n)
		}
	}
	for _, e := range f.GetEnumType() {
		enum("", e)
	}
	for _, m := range f.GetMessageType() {
		message("", m)
	}
	for _, s := range f.GetService() {
		for _, c := range s.GetMethod() {
			all[fmt.Sprintf("call %s.%s(%v %s) %v %s", s.GetName(), c.GetName(), c.GetClientStreaming(), c.GetInputType(), c.GetServerStreaming(),
				c.GetOutputType())] = true
		}
	}
	return all
}

// descriptorIn takes the descriptor out of a class that Java's protoc made: it stands there as one string constant or some, each byte a
// character.
func descriptorIn(class []byte) (*descriptorpb.FileDescriptorProto, error) {
	texts, err := constants(class)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, text := range texts {
		for _, r := range text {
			if r > 0xFF {
				all = nil
				break
			}
			all = append(all, byte(r))
		}
	}
	at := bytes.Index(all, []byte("apache/rocketmq/v2/"))
	if at < 2 {
		return nil, errors.New("no descriptor")
	}
	all = all[at-2:]
	end := 0
	for end < len(all) { // it ends where the next thing is no field of it
		num, typ, n := protowire.ConsumeTag(all[end:])
		if n < 0 || num > 12 || typ != protowire.BytesType {
			break
		}
		m := protowire.ConsumeFieldValue(num, typ, all[end+n:])
		if m < 0 {
			break
		}
		end += n + m
		if num == 12 { // syntax comes last
			break
		}
	}
	f := &descriptorpb.FileDescriptorProto{}
	return f, proto.Unmarshal(all[:end], f)
}

// constants returns the string constants of a class, in their order.
func constants(class []byte) (out []string, err error) {
	short := func(at int) int { return int(binary.BigEndian.Uint16(class[at:])) }
	defer func() {
		if recover() != nil {
			err = errors.New("not a class file")
		}
	}()
	n, at := short(8), 10
	texts, refs := map[int]string{}, []int{}
	sizes := map[byte]int{3: 5, 4: 5, 5: 9, 6: 9, 7: 3, 8: 3, 9: 5, 10: 5, 11: 5, 12: 5, 15: 4, 16: 3, 17: 5, 18: 5, 19: 3, 20: 3}
	for i := 1; i < n; i++ {
		tag := class[at]
		switch tag {
		case 1:
			size := short(at + 1)
			texts[i] = modified(class[at+3 : at+3+size])
			at += 3 + size
			continue
		case 8:
			refs = append(refs, short(at+1))
		case 5, 6: // they take two places
			i++
		}
		at += sizes[tag]
	}
	for _, ref := range refs {
		out = append(out, texts[ref])
	}
	return out, nil
}

// modified reads the UTF-8 of class files, in which a zero has two bytes.
func modified(b []byte) string {
	s := strings.ReplaceAll(string(b), "\xC0\x80", "\x00")
	if !utf8.ValidString(s) {
		return ""
	}
	return s
}
