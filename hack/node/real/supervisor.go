// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// supervise makes what the node needs outside of its namespaces, runs the node, and removes everything again. It returns
// when it is told to end, when whoever started it has died, or when the node has ended by itself, which is an error.
func supervise(s spec) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := endWithParent(); err != nil {
		return err
	}
	if err := sweep(); err != nil {
		return fmt.Errorf("clean up after an earlier node: %w", err)
	}
	node, err := prepare(s)
	if err != nil {
		return errors.Join(err, node.remove())
	}
	return errors.Join(node.run(stop), node.remove())
}

// endWithParent has the kernel tell us kindly when our parent dies. A parent that asked for SIGKILL would leave us no time
// to clean up. The setting belongs to a thread, so every one gets it.
func endWithParent() error {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
	if errno != 0 {
		return fmt.Errorf("ask to be told of the parent's end: %w", errno)
	}
	return nil
}

// node is what lies outside of the node's namespaces. Its zero parts are those not made yet.
type node struct {
	spec    spec
	lock    *os.File
	network *network
	group   *cgroup
}

// prepare makes network, control group and files. The node that it returns is to be removed also after an error.
func prepare(s spec) (*node, error) {
	n := &node{spec: s}
	var err error
	// The lock comes first: from here on others see that the folder is in use.
	if n.lock, err = lockFolder(s.dir); err != nil {
		return n, err
	}
	if n.network, err = claimNetwork(s.dir); err != nil {
		return n, err
	}
	if n.group, err = cgroupNamed(n.network.name()); err != nil {
		return n, err
	}
	if err := n.group.create(); err != nil {
		return n, err
	}
	n.spec.address = n.network.address()
	return n, n.spec.writeFiles()
}

// run starts the node's init in namespaces of its own, and returns when it has ended: then no process of the node is left,
// for the kernel ends all of a process namespace with its first.
func (n *node) run(stop <-chan os.Signal) error {
	cmd := exec.Command("/proc/self/exe", n.spec.flags()...)
	cmd.Args[0] = "node-init"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		// A signal to our process group must not reach the node: its end is ours to time.
		Setsid: true,
	}
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The parent death signal follows the thread that forked, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start the node's init: %w", err)
	}
	select {
	case err := <-ended:
		return fmt.Errorf("the node has ended by itself: %w", err)
	case <-stop:
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the node: %w", err)
	}
	var killed *exec.ExitError
	if err := <-ended; err != nil && !errors.As(err, &killed) {
		return fmt.Errorf("end the node: %w", err)
	}
	return nil
}

// remove undoes prepare, as far as that came. It needs the node's processes to be gone.
func (n *node) remove() error {
	var failed error
	if n.network != nil {
		failed = errors.Join(failed, n.network.remove())
	}
	if n.group != nil {
		failed = errors.Join(failed, n.group.remove())
	}
	if n.lock != nil {
		failed = errors.Join(failed, os.RemoveAll(n.spec.dir), n.lock.Close())
	}
	return failed
}
