// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// containerdSocket lies in the node's own /run, so that it can stand where every tool looks for it.
	containerdSocket = "/run/containerd/containerd.sock"
	notifySocket     = "/run/notify.sock"
	// logTailLines bounds what is quoted of the log of a program that has ended.
	logTailLines = 12
)

// runInside is process 1 of the node. It returns only when the node can't go on, and its end is the end of them all.
func runInside(s spec) error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := os.Setenv("PATH", s.bin+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return fmt.Errorf("set the path: %w", err)
	}
	ready, err := listenForReady()
	if err != nil {
		return err
	}
	containerd, err := s.start("containerd", []string{"--config=" + s.path(containerdConfig)}, "NOTIFY_SOCKET="+notifySocket)
	if err != nil {
		return err
	}
	ended := make(chan exit)
	go reap(ended)
	running := map[int]string{containerd: "containerd"}
	for {
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
			ready = nil
			kubelet, err := s.startKubelet()
			if err != nil {
				return err
			}
			running[kubelet] = "kubelet"
		case e := <-ended:
			if name, ours := running[e.pid]; ours {
				return fmt.Errorf("%s has ended (%s); its log ends with:\n%s", name, e.status, s.logTail(name))
			}
		}
	}
}

// listenForReady returns a channel that gets one value, nil, when containerd says that it serves.
func listenForReady() (<-chan error, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notifySocket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for containerd: %w", err)
	}
	ready := make(chan error, 1)
	go func() {
		defer conn.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				ready <- fmt.Errorf("listen for containerd: %w", err)
				return
			}
			if strings.Contains(string(buffer[:n]), "READY=1") {
				ready <- nil
				return
			}
		}
	}()
	return ready, nil
}

func (s spec) startKubelet() (int, error) {
	args := []string{
		"--config=" + s.path(kubeletConfig),
		"--kubeconfig=" + s.kubeconfig,
		"--hostname-override=" + s.name,
		"--node-ip=" + s.address.String(),
		"--node-labels=" + s.labels,
		"--root-dir=" + s.path("kubelet"),
		"--cert-dir=" + s.path("kubelet", "pki"),
	}
	if !s.anonymous {
		program, err := exec.LookPath(provider)
		if err != nil {
			return 0, fmt.Errorf("find the credential provider: %w", err)
		}
		args = append(args, "--image-credential-provider-config="+s.path(providerConfig), "--image-credential-provider-bin-dir="+filepath.Dir(program))
	}
	return s.start("kubelet", args)
}

// start starts a program of the node. It is not waited for here: process 1 has to wait for every orphan, and can't do both.
func (s spec) start(name string, args []string, env ...string) (int, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", name, err)
	}
	log, err := os.OpenFile(s.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	defer null.Close()
	process, err := os.StartProcess(path, append([]string{name}, args...), &os.ProcAttr{
		Env:   append(os.Environ(), env...),
		Files: []*os.File{null, log, log},
	})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	return process.Pid, nil
}

// exit is how a process ended.
type exit struct {
	pid    int
	status string
}

// reap collects every process that ends, our own children and the orphans that fall to process 1.
func reap(ended chan<- exit) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err != nil:
			continue // EINTR; process 1 of a node has children for as long as it lives.
		case status.Signaled():
			ended <- exit{pid, status.Signal().String()}
		default:
			ended <- exit{pid, fmt.Sprintf("status %d", status.ExitStatus())}
		}
	}
}

func (s spec) log(name string) string {
	return s.logPrefix + name + ".log"
}

// logTail returns the last lines of a program's log.
func (s spec) logTail(name string) string {
	data, err := os.ReadFile(s.log(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-logTailLines):], "\n")
}
