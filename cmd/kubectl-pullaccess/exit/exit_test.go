// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package exit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestHelp(t *testing.T) {
	if got, want := Help([]Meaning{{OK, "nothing"}, {Unreachable, "gone"}}), "Exit codes:\n  0  nothing\n  3  gone"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

func TestCode(t *testing.T) {
	cause := errors.New("cause")
	for _, tc := range []struct {
		err    error
		code   int
		silent bool
	}{
		{nil, OK, true},
		{ErrFailures, Failures, true},
		{ErrLeft, Failures, true},
		{ErrFindings, Failures, true},
		{cause, Usage, false},
		{Said(cause), Usage, true},
		{Said(nil), OK, true},
		{Said(errors.Join(cause, Unreached(cause))), Unreachable, true},
		{Unreached(cause), Unreachable, false},
		{Unreached(nil), OK, true},
		{fmt.Errorf("list pods: %w", Unreached(cause)), Unreachable, false},
		{&os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}, OK, true},
	} {
		if got := Code(tc.err); got != tc.code {
			t.Errorf("%v ends with %d, want %d", tc.err, got, tc.code)
		}
		if got := Silent(tc.err); got != tc.silent {
			t.Errorf("%v is silent: %v, want %v", tc.err, got, tc.silent)
		}
	}
	if err := Unreached(cause); !errors.Is(err, cause) || err.Error() != "cause" {
		t.Errorf("the cause is lost: %v", err)
	}
}
