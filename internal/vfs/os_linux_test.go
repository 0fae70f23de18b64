package vfs_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cometmq/cometmq/internal/vfs"
)

// TestMain doubles as the other process of TestLockExcludesClassicLocksOfOtherProcesses.
func TestMain(m *testing.M) {
	if name := os.Getenv("VFS_TEST_LOCK"); name != "" {
		os.Exit(classicLock(name))
	}
	os.Exit(m.Run())
}

// classicLock locks as Java does, says so, and holds the lock until stdin ends. 3 = somebody else has it.
func classicLock(name string) int {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 4
	}
	fl := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &fl); err != nil {
		return 3
	}
	_, _ = os.Stdout.WriteString("locked\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestLockExcludesClassicLocksOfOtherProcesses(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	other := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "VFS_TEST_LOCK="+name)
		return cmd
	}
	l, err := vfs.OS().Lock(name)
	ok(t, err)
	if _, err = vfs.OS().Lock(name); !errors.Is(err, vfs.ErrLocked) { // another value, same process
		t.Errorf("lock through a second value: %v", err)
	}
	var exit *exec.ExitError
	if err = other().Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("another process got the lock: %v", err)
	}
	ok(t, l.Close())

	cmd := other()
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	var locked *vfs.LockedError
	if _, err = vfs.OS().Lock(name); !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Errorf("lock that another process holds: %v", err)
	}
	ok(t, in.Close())
	ok(t, cmd.Wait())
	l, err = vfs.OS().Lock(name)
	ok(t, err)
	ok(t, l.Close())
}

func TestBootIDIsKnownAndStable(t *testing.T) {
	t.Parallel()
	if a, b := vfs.OS().BootID(), vfs.OS().BootID(); a != b || len(a) != 36 {
		t.Errorf("boot ids %q, %q", a, b)
	}
}
