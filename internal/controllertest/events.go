// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// Event is an Event that a controller emitted.
type Event struct {
	// Object is "KIND/NAME".
	Object, Type, Reason, Note string
}

// String is "TYPE REASON NOTE".
func (e Event) String() string { return e.Type + " " + e.Reason + " " + e.Note }

// Recorder implements events.Recorder. It is safe for concurrent use.
type Recorder struct {
	mu  sync.Mutex
	all []Event
}

// Eventf implements events.Recorder.
func (r *Recorder) Eventf(regarding, _ runtime.Object, eventType, reason, _, note string, args ...any) {
	object := kindOf(regarding)
	if reference, ok := regarding.(*corev1.ObjectReference); ok {
		object = reference.Kind + "/" + reference.Name
	} else if named, err := meta.Accessor(regarding); err == nil {
		object += "/" + named.GetName()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, Event{Object: object, Type: eventType, Reason: reason, Note: fmt.Sprintf(note, args...)})
}

// Events returns the Events, in order, as "REASON KIND/NAME".
func (r *Recorder) Events() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, event := range r.all {
		all = append(all, event.Reason+" "+event.Object)
	}
	return all
}

// Take returns the Events that were emitted since it was last called, as "TYPE REASON NOTE".
func (r *Recorder) Take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, event := range r.all {
		all = append(all, event.String())
	}
	r.all = nil
	return all
}
