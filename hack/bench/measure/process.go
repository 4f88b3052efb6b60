// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package measure reads what the benchmark counts: what a process has used, by /proc and by its own metrics, and what it has
// asked the API server for, by the audit log. It judges nothing and prints nothing.
package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc, the same on every Linux.
const tick = 10 * time.Millisecond

// Process is a running process, known by its id.
type Process int

// CPU is the time for which the process has run on a core, in user and kernel mode.
func (p Process) CPU() (time.Duration, error) {
	text, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; what follows it begins with the third field.
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0, fmt.Errorf("read /proc/%d/stat: it has too few fields", p)
	}
	var ticks int64
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/%d/stat: %w", p, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// Resident is how many bytes of memory the process holds now.
func (p Process) Resident() (int64, error) { return p.number("status", "VmRSS") }

// Peak is the most that it ever held.
func (p Process) Peak() (int64, error) { return p.number("status", "VmHWM") }

// Received is how many bytes the process has read, from the network above all.
func (p Process) Received() (int64, error) { return p.number("io", "rchar") }

// number finds a line such as "VmRSS: 12 kB" in a file of the process.
func (p Process) number(file, name string) (int64, error) {
	text, err := p.read(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		value, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		digits, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s of /proc/%d/%s: %w", name, p, file, err)
		}
		if unit == "kB" {
			n *= 1024
		}
		return n, nil
	}
	return 0, fmt.Errorf("read /proc/%d/%s: it has no %s", p, file, name)
}

func (p Process) read(file string) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p, file))
	return string(data), err
}
