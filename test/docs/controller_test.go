package docs

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/config"
)

// TestFilesForControllersAreTaken: what operations/controller.md shows to be copied is a configuration without a warning.
func TestFilesForControllersAreTaken(t *testing.T) {
	t.Parallel()
	host := config.Host{Home: "/home", Name: "machine", IP: "127.0.0.1"}
	files := map[string]int{}
	blocks := strings.Split(read(t, "docs/operations/controller.md"), "```")
	member := ""
	for i := 1; i < len(blocks); i += 2 {
		text := strings.TrimSpace(blocks[i])
		s := config.Sources{File: "file", Host: &host, ReadFile: func(string) ([]byte, error) { return []byte(text), nil }}
		var notices []config.Notice
		var err error
		kind := ""
		switch {
		case strings.Contains(text, "enableControllerMode"):
			kind = "broker"
			_, notices, err = config.LoadBroker(s)
		case strings.Contains(text, "enableControllerInNamesrv"):
			kind = "namesrv"
			text = member + "\n" + text
			_, notices, err = config.LoadNamesrv(s)
		case strings.Contains(text, "controllerDLegerPeers"):
			kind, member = "controller", text
			_, notices, err = config.LoadController(s)
		default:
			continue // commands
		}
		files[kind]++
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		for _, n := range notices {
			if n.Level > slog.LevelInfo {
				t.Errorf("%s\n%s", text, n)
			}
		}
	}
	if files["controller"] != 2 || files["namesrv"] != 1 || files["broker"] != 1 {
		t.Errorf("%v: a block of the page is not looked at", files)
	}
}
