// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// parentVariable has the test program play a program that starts a child and is then killed.
const parentVariable = "PULLACCESS_TEST_PARENT_DIR"

func TestChildDiesWithItsParent(t *testing.T) {
	if dir := os.Getenv(parentVariable); dir != "" {
		p, err := StartProcess(Command{Name: "child", Path: "/bin/sleep", Args: []string{"1000"}, Log: filepath.Join(dir, "log")})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stderr, p.PID())
		<-p.Done()
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestChildDiesWithItsParent$")
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	stderr, err := parent.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("the killed parent ended well")
	}
	gone := func(context.Context) (bool, error) {
		return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || zombie(child), nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, gone); err != nil {
		t.Errorf("the child outlives its killed parent")
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
}
