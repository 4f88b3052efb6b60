// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := StartProcess(Command{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", script},
		Log: filepath.Join(t.TempDir(), "log"), Grace: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestEarlyExitQuotesTheLog(t *testing.T) {
	p := shell(t, "for i in $(seq 100); do echo line $i; done; exit 3")
	<-p.Done()
	err := p.Exited()
	if err == nil {
		t.Fatal("an ended child is said to run")
	}
	for _, want := range []string{"child ended early (exit status 3)", "line 86\n", "line 100"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not hold %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "line 85\n") {
		t.Errorf("%q holds more than the end of the log", err)
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	// Neither the child nor its own child heeds SIGTERM.
	p := shell(t, "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ >"+ready+"; sleep 1000\"; true")
	line, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	if p.Exited() != nil {
		t.Fatal("a running child is said to have ended")
	}
	p.Stop()
	p.Stop()
	gone := func(context.Context) (bool, error) {
		return errors.Is(syscall.Kill(grandchild, 0), syscall.ESRCH) || zombie(grandchild), nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, gone); err != nil {
		t.Errorf("the grandchild is still there")
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child is still there: %v", err)
	}
}

// zombie tells a process that is dead and only waits for its parent, or for init, to take note.
func zombie(pid int) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(data), ") Z ")
}

func TestMissingProgram(t *testing.T) {
	_, err := StartProcess(Command{Name: "child", Path: "/nonexistent", Log: filepath.Join(t.TempDir(), "log")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a missing file", err)
	}
}

// TestManagerIsStartedAgain where another program was faster to take a port, and only then.
func TestManagerIsStartedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		says   string
		starts int
	}{
		"taken": {"listen tcp 127.0.0.1:1: bind: address already in use", startAttempts},
		"other": {"unknown flag", 1},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			_, err := StartManager(t.Context(), Command{Name: "child", Path: "/bin/sh", Args: []string{"-c", "echo " + tc.says + "; exit 1"}, Log: log})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want it to say %q", err, tc.says)
			}
			said, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(said), tc.says); got != tc.starts {
				t.Errorf("it was started %d times, want %d", got, tc.starts)
			}
		})
	}
}
