package alerts

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

// FuzzStored puts bytes where rules, alerts, messages and settings are kept: what is not good is left out, and all else goes on.
func FuzzStored(f *testing.F) {
	rule, _ := json.Marshal(&Defaults()[0])
	alert, _ := json.Marshal(&Alert{ID: "id", Rule: "no-master", State: Firing})
	f.Add(rule, alert, []byte(`{"id":"id","to":"http://h"}`), []byte(`{"webhook":"http://h"}`))
	f.Add([]byte(`{"id":"id","target":"("}`), []byte("null"), []byte("5"), []byte("["))
	path := filepath.Join(f.TempDir(), "x.db")
	f.Fuzz(func(t *testing.T, rule, alert, message, settings []byte) {
		file := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path, NoSync: true})
		err := file.Update(func(tx *bbolt.Tx) error {
			if err := write(tx, nil, &picture{}); err != nil {
				return err
			}
			for name, v := range map[string][]byte{"rules": rule, "alerts": alert, "outbox": message} {
				if err := tx.Bucket([]byte(name)).Put([]byte("id"), v); err != nil {
					return err
				}
			}
			return tx.Bucket(metaBucket).Put(settingsKey, settings)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		w := Open(Options{Path: path, Source: nothing{}})
		w.Evaluate(t.Context())
		w.Alerts()
		w.due()
		for _, r := range w.Rules() {
			if err := r.Validate(); err != nil {
				t.Error(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAddressesStayOutOfErrors(t *testing.T) {
	t.Parallel()
	w := Open(Options{Source: nothing{}})
	err := w.post(t.Context(), &message{ID: "x", To: "http://127.0.0.1:1/secret-key", Format: JSON})
	if err == nil {
		t.Fatal("port 1 took a message")
	}
	if s := err.Error(); len(s) == 0 || strings.Contains(s, "secret-key") {
		t.Error(s)
	}
	m := &message{Created: time.Now().UnixMilli()}
	if _, err := m.body(time.Now()); err != nil {
		t.Error(err)
	}
}

type nothing struct{}

func (nothing) Readings(context.Context, Kind) ([]Reading, error) { return nil, nil }
