package consumequeue

import (
	"io/fs"
	"sync"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// slowRemoval lets a test look at the set while Delete removes files.
type slowRemoval struct {
	vfs.FS
	meanwhile func()
}

func (f slowRemoval) RemoveAll(name string) error {
	f.meanwhile()
	return f.FS.RemoveAll(name)
}

// Who asks for a queue while its topic is deleted gets one without the files that are about to go.
func TestNoHandleKeepsFilesOfADeletedTopic(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	var s *Set
	var others sync.WaitGroup
	s = NewSet(slowRemoval{fsys, func() {
		asked := make(chan struct{})
		others.Go(func() {
			close(asked)
			if err := s.Queue("t", 0).Open(); err != nil {
				t.Error(err)
			}
		})
		<-asked
	}}, "/cq", Options{FileSize: 20 * UnitSize})
	for round := range 50 {
		for i := range record.Index(30) {
			must(t, s.Queue("t", 0).Append(i, record.Offset(i), 1, 0))
		}
		must(t, s.Flush(false))
		must(t, s.Delete("t"))
		others.Wait()
		if next := s.Queue("t", 0).Next(); next != 0 {
			t.Fatalf("round %d: the queue goes on at %d", round, next)
		}
		if _, err := fsys.Stat("/cq/t"); err == nil {
			t.Fatalf("round %d: %v", round, fs.ErrExist)
		}
	}
}
