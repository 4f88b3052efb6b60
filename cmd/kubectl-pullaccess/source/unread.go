// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
)

// named is how many pods a note names.
const named = 5

// unreadPods gathers the pods of which the cluster refused to show something, so
// that one note tells of all. It is safe for concurrent use.
type unreadPods struct {
	mu   sync.Mutex
	pods []string
	why  error
}

// unlessAnswered takes up what the cluster refused, and returns the error if the
// cluster gave no answer at all: no other read would get one then.
func (u *unreadPods) unlessAnswered(pod types.NamespacedName, err error) error {
	if err == nil {
		return nil
	}
	if !cluster.Refused(err) {
		return cluster.Unreached(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pods, u.why = append(u.pods, pod.String()), err
	return nil
}

// note says what is uncertain of the pods that were not read, if there are any.
func (l *live) note(uncertain string, unread *unreadPods) {
	if unread.why == nil {
		return
	}
	slices.Sort(unread.pods)
	names := strings.Join(unread.pods[:min(len(unread.pods), named)], ", ")
	if more := len(unread.pods) - named; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	l.Notes = append(l.Notes, fmt.Sprintf("%s (%s): %v", uncertain, names, unread.why))
}
