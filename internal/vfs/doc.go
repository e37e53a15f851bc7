// Package vfs is the file system as the stores see it, so that a test can cut
// the power, fill the disk or break it at any single operation.
//
// Implementations: OS is the real disk. Mem is a disk in memory that keeps only
// what was synced. Faulty wraps another FS and fails by a script. Shadow is for
// libraries that write with package os themselves: it remembers how much of
// each real file was synced through it, and copies out what power loss leaves.
// One conformance suite (conformance_test.go) runs over all of them.
//
// Writing a file so that it is there whole after power loss: create under a
// temporary name, write, sync the file, rename, sync the folder; WriteFileAtomic
// does it. A new folder is there only when its parent was synced: MkdirAllSync.
//
// Ownership: whoever opened a File closes it; a File serves one goroutine at a
// time except for ReadAt and Sync; an FS serves any number. Buffers passed in
// belong to the caller again when the call returns.
package vfs
