// Package vfs is the seam between CometMQ and the disk: everything that opens a file takes an FS.
//
// Three implementations: OS, the real thing; Mem, a file system in memory that can be crashed (CrashClone gives what a
// disk could hold after a power cut or a killed process); and NewFaulty, which wraps either of them and makes chosen
// operations fail, write short or take long.
//
// Invariants:
//   - What survives a power cut is only what was synced: file contents and sizes by Datasync, Sync or SyncFS, names
//     (create, link, rename, remove, make directory) by SyncDir of the directory or SyncFS. Syncing a new file does
//     not make its name durable. Mem is strict about this, more so than most real file systems.
//   - Rename is atomic: after a crash there is the old or the new file under the name, never none or a mix.
//   - Reads and writes are positioned and may run concurrently. An error is a *fs.PathError or *os.LinkError (or wraps
//     one), so that errors.Is finds fs.ErrNotExist; IsNoSpace recognises a full disk.
//
// Names are paths of the operating system; Mem takes slash-separated ones.
package vfs
