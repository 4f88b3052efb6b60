// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"crypto/sha256"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/cache"

	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	// remembered limits the answers that are kept, causesKept the causes, and maxText each
	// name in a cause, in bytes.
	remembered, causesKept, maxText = 32768, 16384, 256
	// rememberedFor is longer than the kubelet ever waits between two attempts
	// (5 minutes), so that a cause outlasts the back-offs in between.
	rememberedFor = time.Hour
)

// memory keeps what texts said and what was answered, so that a cause survives
// the back-off text that follows it, and nothing is said twice. It may be lost:
// a restarted operator reads the cause again at the kubelet's next attempt.
type memory struct {
	causes  *cache.LRUExpireCache
	answers *cache.LRUExpireCache
}

func newMemory() memory {
	return memory{causes: cache.NewLRUExpireCache(causesKept), answers: cache.NewLRUExpireCache(remembered)}
}

// container tells one container of one pod from all others, also from a later pod of the
// same name and from a container whose image was changed. It is a hash, because an image
// reference may be long.
type container [sha256.Size]byte

func keyOf(pod *corev1.Pod, failure pullfailure.Failure) container {
	// The key is unambiguous: UIDs and container names contain no slash, and the image is
	// last.
	return sha256.Sum256([]byte(string(pod.UID) + "/" + failure.Container + "/" + failure.Image))
}

// cause returns the verdict to go by, and whether its cause is new for the
// container. A text without a cause does not displace one that had a cause.
func (m memory) cause(pod *corev1.Pod, failure pullfailure.Failure, verdict pullfailure.Verdict) (pullfailure.Verdict, bool) {
	key := keyOf(pod, failure)
	before, ok := m.verdict(key)
	if ok && verdict.Cause == pullfailure.BackOff {
		verdict = before
	}
	m.causes.Add(key, verdict, rememberedFor)
	return verdict, !ok || before.Cause != verdict.Cause
}

// verdict is what the last text of the container came to.
func (m memory) verdict(key container) (pullfailure.Verdict, bool) {
	known, _ := m.causes.Get(key)
	verdict, ok := known.(pullfailure.Verdict)
	return verdict, ok
}

// knows tells whether a cause was told of the container.
func (m memory) knows(pod *corev1.Pod, failure pullfailure.Failure) bool {
	verdict, ok := m.verdict(keyOf(pod, failure))
	return ok && verdict.Cause != pullfailure.BackOff
}

// classify reads the text, and falls back on what an earlier text of this container
// said: a back-off alone carries no cause, and the two alternate.
func (m memory) classify(pod *corev1.Pod, failure pullfailure.Failure) pullfailure.Verdict {
	verdict, isNew := m.cause(pod, failure, short(failure.Classify()))
	if isNew {
		metrics.PullFailure(string(verdict.Cause))
	}
	return verdict
}

// short limits the texts of a verdict. It copies them, so that they do not keep the whole
// message in memory.
func short(v pullfailure.Verdict) pullfailure.Verdict {
	v.Evidence = strings.Clone(v.Evidence) // The classifier already limits it.
	for _, text := range []*string{&v.Host, &v.Permission, &v.Resource} {
		*text = strings.Clone(strings.ToValidUTF8((*text)[:min(len(*text), maxText)], ""))
	}
	return v
}

// changed remembers the answer and tells whether it is another than the last.
func (m memory) changed(pod *corev1.Pod, failure pullfailure.Failure, answer string) bool {
	key := keyOf(pod, failure)
	before, ok := m.answers.Get(key)
	now := sha256.Sum256([]byte(answer))
	m.answers.Add(key, now, rememberedFor)
	return !ok || before != now
}
