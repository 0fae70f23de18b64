package web

import (
	"io/fs"
	"strings"
	"testing"
)

func TestIndexNamesFilesBelowItsBase(t *testing.T) {
	if FS() == nil {
		t.Skip("built without the console")
	}
	for _, c := range []struct{ base, want string }{{"/", "/"}, {"", "/"}, {"/mq/ui", "/mq/ui/"}, {"mq/", "/mq/"}, {`/"x`, "/&#34;x/"}} {
		page, err := Index(c.base)
		if err != nil {
			t.Fatal(err)
		}
		s := string(page)
		if !strings.Contains(s, `content="`+c.want+`"`) {
			t.Errorf("base %q: the page does not name base %q:\n%s", c.base, c.want, s)
		}
		if !strings.Contains(s, `src="`+c.want+`assets/`) || strings.Contains(s, `"./`) {
			t.Errorf("base %q: the script is not below %q:\n%s", c.base, c.want, s)
		}
	}
}

// TestIndexFilesExist holds that the committed page and the committed assets are of one build.
func TestIndexFilesExist(t *testing.T) {
	if FS() == nil {
		t.Skip("built without the console")
	}
	page, err := Index("/")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for part := range strings.SplitSeq(string(page), `"`) {
		name, isPath := strings.CutPrefix(part, "/")
		if !isPath || name == "" {
			continue
		}
		n++
		if _, err := fs.Stat(FS(), name); err != nil {
			t.Errorf("index.html refers to %s: %v", name, err)
		}
	}
	if n < 2 {
		t.Errorf("found %d references in index.html, want the script and the style at least", n)
	}
}
