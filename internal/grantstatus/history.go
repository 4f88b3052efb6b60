// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Note adds to the grant's history what the operator itself has done or seen.
func Note(g *v1alpha1.PullAccessGrant, event v1alpha1.HistoryEvent, sentence string, now time.Time) {
	note(g, v1alpha1.HistoryEntry{Time: metav1.NewTime(now), Event: event, Message: sentence})
}

// noteReview adds what a person has said, when and as whom by the API server's word.
func noteReview(g *v1alpha1.PullAccessGrant, event v1alpha1.HistoryEvent, now time.Time) {
	at := now
	if said := reviewTime(g); !said.IsZero() {
		at = said
	}
	note(g, v1alpha1.HistoryEntry{
		Time: metav1.NewTime(at), Event: event, User: g.Status.Review.User, Message: g.Status.Review.Reason,
	})
}

// note makes room by the oldest restart, of which there may be many, else by the
// oldest entry.
func note(g *v1alpha1.PullAccessGrant, entry v1alpha1.HistoryEntry) {
	entry.Message = cut(entry.Message)
	if len(g.Status.History) >= v1alpha1.MaxHistory {
		oldest := slices.IndexFunc(g.Status.History, func(e v1alpha1.HistoryEntry) bool { return e.Event == v1alpha1.HistoryRestarted })
		oldest = max(oldest, 0)
		g.Status.History = slices.Delete(g.Status.History, oldest, oldest+1)
	}
	g.Status.History = append(g.Status.History, entry)
}

// maxMessage is the length of a history's message, in bytes, as the kind's schema has it.
const maxMessage = 512

// cut bounds a sentence to what the record takes.
func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage-len("…")], "") + "…"
}
