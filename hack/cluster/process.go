// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// stopGrace is how long a child may take to end after SIGTERM before it is killed.
	stopGrace = 10 * time.Second
	// logTailLines bounds what an early exit quotes of the child's log.
	logTailLines = 15
	// readyTimeout bounds the wait for one program to serve; on a machine without load each takes a few seconds.
	readyTimeout = 2 * time.Minute
	pollInterval = 50 * time.Millisecond
)

// Command says which program to run as a child, and where its output goes.
type Command struct {
	// Name is what errors call the child.
	Name string
	// Path is the program, Args its arguments without the program's own name.
	Path string
	Args []string
	// Env is the whole environment; nil inherits ours.
	Env []string
	// Log is the file that receives standard output and error; a second start appends.
	Log string
	// Grace overrides how long the child may take to end; zero means ten seconds.
	Grace time.Duration
}

// Process is a running child in a process group of its own. It ends at the latest with the program that started it.
type Process struct {
	command Command
	cmd     *exec.Cmd
	stop    sync.Once
	done    chan struct{}
	err     error
}

// StartProcess starts the child. Whoever starts it must call Stop.
func StartProcess(command Command) (*Process, error) {
	log, err := os.OpenFile(command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env = command.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	// A grandchild that keeps our pipes open must not hold Wait for ever.
	cmd.WaitDelay = time.Second
	p := &Process{command: command, cmd: cmd, done: make(chan struct{})}

	started := make(chan error, 1)
	go func() {
		defer log.Close()
		// The parent death signal follows the thread that forked, not the process: keep that thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	return p, nil
}

// PID returns the child's process id.
func (p *Process) PID() int {
	return p.cmd.Process.Pid
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} {
	return p.done
}

// Exited returns nil while the child runs, and afterwards an error that quotes the last lines of its log.
func (p *Process) Exited() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	how := "status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended early (%s); its log ends with:\n%s", p.command.Name, how, logTail(p.command.Log))
}

// waitFor is await with a bound.
func (p *Process) waitFor(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return p.await(ctx, what, check)
}

// await polls check until it is satisfied, the process ends, or the context does; then it says what was missing.
func (p *Process) await(ctx context.Context, what string, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		if err := p.Exited(); err != nil {
			if strings.Contains(err.Error(), "address already in use") {
				return false, fmt.Errorf("%w: %w", errPortTaken, err)
			}
			return false, err
		}
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil && wait.Interrupted(err) {
		return fmt.Errorf("wait for %s: %w", what, errors.Join(err, last))
	}
	return err
}

// Stop ends the child and its whole process group, first kindly, and returns when the child is gone.
func (p *Process) Stop() {
	p.stop.Do(func() {
		grace := p.command.Grace
		if grace == 0 {
			grace = stopGrace
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-timer.C:
		}
		// The group may outlive its leader: grandchildren are not waited for, but never left.
		p.signal(syscall.SIGKILL)
	})
	<-p.done
}

// Kill ends the child and its process group at once, as a crash would.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *Process) signal(sig syscall.Signal) {
	// ESRCH is the wished-for state: nobody is left in the group.
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
}

// logTail returns the last lines of a log file.
func logTail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-logTailLines):], "\n")
}
