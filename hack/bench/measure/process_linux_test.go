// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"os"
	"testing"
)

// TestProcess reads this very process.
func TestProcess(t *testing.T) {
	p := Process(os.Getpid())
	begin, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	for used := begin; used-begin < 2*tick; {
		if used, err = p.CPU(); err != nil || used < begin {
			t.Fatalf("CPU time went from %s to %s, %v", begin, used, err)
		}
	}
	resident, err := p.Resident()
	if err != nil || resident < 1<<20 {
		t.Errorf("%d bytes are resident, %v; want a megabyte at least", resident, err)
	}
	if peak, err := p.Peak(); err != nil || peak < resident {
		t.Errorf("the peak is %d, %v; want no less than %d", peak, err, resident)
	}
	if received, err := p.Received(); err != nil || received == 0 {
		t.Errorf("%d bytes were read, %v; want some", received, err)
	}
	if _, err := Process(0).CPU(); err == nil {
		t.Error("a process that is not there has a CPU time")
	}
}
