package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own: ext4 in a file, on a loop device. It can fill up, stall and lose power.
type disk struct {
	t     *testing.T
	image string
	dir   string
}

// newDisk makes one of so many MiB. It needs root and loop devices; without them the row is skipped.
func newDisk(t *testing.T, mib int) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a file system of its own needs root")
	}
	tmp := t.TempDir()
	d := &disk{t: t, image: filepath.Join(tmp, "image"), dir: filepath.Join(tmp, "disk")}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("truncate", "-s", fmt.Sprintf("%dM", mib), d.image).Run(); err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", d.image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { d.unmount() })
	return d
}

func (d *disk) unmount() {
	d.t.Helper()
	var out []byte
	var err error
	for range 50 { // what was killed lets go of its files in its own time
		if out, err = exec.Command("umount", d.dir).CombinedOutput(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = exec.Command("umount", "-l", d.dir).Run()
	d.t.Errorf("umount: %v %s", err, out)
}

func (d *disk) ioctl(request uintptr, arg *uint32) {
	d.t.Helper()
	fd, err := unix.Open(d.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg))); e != 0 {
		d.t.Fatalf("ioctl %x: %v", request, e)
	}
}

// The kernel's numbers: FIFREEZE, FITHAW, EXT4_IOC_SHUTDOWN.
const (
	ioctlFreeze   = 0xC0045877
	ioctlThaw     = 0xC0045878
	ioctlShutdown = 0x8004587D
	noLogFlush    = 2
)

// stall makes each write and each sync wait for so long.
func (d *disk) stall(long time.Duration) {
	d.t.Helper()
	d.ioctl(ioctlFreeze, new(uint32))
	time.Sleep(long)
	d.ioctl(ioctlThaw, new(uint32))
}

// powerOff ends the file system at once: what has not been written to the device by now is lost, the journal's end included.
func (d *disk) powerOff() {
	d.t.Helper()
	how := uint32(noLogFlush)
	d.ioctl(ioctlShutdown, &how)
}

// powerOn mounts it again; all processes that used it must have ended.
func (d *disk) powerOn() {
	d.t.Helper()
	d.unmount()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		d.t.Fatalf("mount: %v %s", err, out)
	}
}

// fill takes all of the room that is left; the returned function gives it back.
func (d *disk) fill() (free func()) {
	d.t.Helper()
	path := filepath.Join(d.dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	at := int64(0)
	for step := int64(64 << 20); step >= 4096; {
		if unix.Fallocate(int(f.Fd()), 0, at, step) != nil {
			step /= 2
			continue
		}
		at += step
	}
	return func() {
		if err := os.Remove(path); err != nil {
			d.t.Fatal(err)
		}
	}
}
