// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault makes requests fail that would else have been served. Without
// HTTPStatus and Reset it only delays them.
type Fault struct {
	// Method is the method as in Request; empty is every method.
	Method string
	// Match is a part of the resource as in Request; empty is every resource.
	Match string
	// Times is how many requests the fault hits; 0 is until ClearFaults.
	Times int
	// HTTPStatus is the status to answer.
	HTTPStatus int
	// Status is the error's code, the usual one for HTTPStatus if empty:
	// "ABORTED" of an API, "DENIED" of the registry.
	Status string
	// Message is the error's text; HTTP's own words if empty.
	Message string
	// Body is sent instead of the API's own error JSON.
	Body string
	// RetryAfter is sent in seconds, rounded up.
	RetryAfter time.Duration
	// After serves the request first and fails then: a time-out after the write took effect.
	After bool
	// Delay passes before the answer.
	Delay time.Duration
	// Reset closes the connection instead of answering.
	Reset bool
}

type faultList struct {
	mu     sync.Mutex
	faults []*Fault
	times  map[*Fault]int
	images map[string]setImageFault // By HOST/PATH.
}

// InjectFault adds a fault. Of several that match a request, the oldest is played.
func (e *Emulator) InjectFault(f Fault) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.faults = append(e.faults.faults, &f)
}

// ClearFaults forgets all faults, those of images too.
func (e *Emulator) ClearFaults() {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.faults, e.faults.times, e.faults.images = nil, nil, nil
}

// take finds the fault that hits this request and counts it.
func (l *faultList) take(method, resource string) (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		spent := f.Times > 0 && l.times[f] >= f.Times
		if spent || (f.Method != "" && f.Method != method) || !strings.Contains(resource, f.Match) {
			continue
		}
		if l.times == nil {
			l.times = map[*Fault]int{}
		}
		l.times[f]++
		return *f, true
	}
	return Fault{}, false
}

// play answers a request as the fault wants it.
func (e *Emulator) play(f Fault, point endpoint, w http.ResponseWriter, r *http.Request, who identity) {
	served := httptest.NewRecorder()
	if f.After {
		point.serve(served, r, who)
	}
	if !e.wait(r.Context(), f.Delay) {
		reset(w) // An answer now would be an early one.
		return
	}
	switch {
	case f.Reset:
		reset(w)
	case f.HTTPStatus != 0:
		f.answer(point, w)
	case f.After:
		maps.Copy(w.Header(), served.Header())
		w.WriteHeader(served.Code)
		_, _ = w.Write(served.Body.Bytes())
	default:
		point.serve(w, r, who)
	}
}

func (f Fault) answer(point endpoint, w http.ResponseWriter) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	if f.Body != "" {
		w.Header().Set("Content-Type", http.DetectContentType([]byte(f.Body)))
		w.WriteHeader(f.HTTPStatus)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	point.refuse(w, &refusal{http: f.HTTPStatus, code: f.Status, message: cmp.Or(f.Message, http.StatusText(f.HTTPStatus))})
}

// wait tells whether the time passed; it did not when the client or the
// emulator left before.
func (e *Emulator) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timed, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-timed.Done():
		return errors.Is(timed.Err(), context.DeadlineExceeded)
	case <-e.done:
		return false
	}
}

// untilClosed is the life of the emulator, for what no request bounds.
func (e *Emulator) untilClosed() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	e.running.Go(func() {
		select {
		case <-e.done:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// reset drops the connection so that the client reads a reset, not an end. Over HTTP/2 it
// resets the stream, because the handler does not own the connection.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) //nolint:forbidigo // A handler aborts a response this way, and the server recovers.
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
