package vfs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// holdLockEnv makes the test binary a process that takes the lock named and
// holds it until its input ends.
const holdLockEnv = "VFS_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(holdLockEnv); name != "" {
		holdLock(name)
		return
	}
	os.Exit(m.Run())
}

func holdLock(name string) {
	if _, err := (OS{}).Lock(name); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestLockAgainstAnotherProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	exe, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), holdLockEnv+"="+name)
	_, err = child.StdinPipe() // stays open, so the child waits
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)

	_, err = (OS{}).Lock(name)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("folder %s: locked by the process with pid %d", filepath.Dir(name), child.Process.Pid))

	// However the holder ends, the lock ends with it.
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	l, err := OS{}.Lock(name)
	require.NoError(t, err)
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(os.Getpid()), strings.TrimSpace(string(data)), "the number is the new holder's")
	require.NoError(t, l.Close())
}

func TestLockWithoutAReadableNumber(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	l, err := OS{}.Lock(name)
	require.NoError(t, err)
	for _, content := range []string{"", "not a number", "-5", strings.Repeat("9", 100)} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		_, err = OS{}.Lock(name)
		require.ErrorIs(t, err, ErrLocked)
		require.ErrorContains(t, err, "another process")
	}
	require.NoError(t, l.Close())
}

func TestNewFilesAreClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	require.NoError(t, MkdirAllSync(OS{}, dir))
	require.NoError(t, WriteFileAtomic(OS{}, filepath.Join(dir, "f"), nil))
	for _, name := range []string{dir, filepath.Join(dir, "f")} {
		st, err := OS{}.Stat(name)
		require.NoError(t, err)
		require.Zero(t, st.Mode().Perm()&0o007, "%s", name)
	}
}
