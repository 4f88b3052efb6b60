// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
)

// Waiting reasons of a container whose image is not there, as kubelet has them.
const (
	reasonErrImagePull      = "ErrImagePull"
	reasonImagePullBackOff  = "ImagePullBackOff"
	reasonErrImageNeverPull = "ErrImageNeverPull"
	reasonInvalidImageName  = "InvalidImageName"
)

// resync is how long kubelet rests after an error that has no back-off of its own.
const resync = 10 * time.Second

// Failure says why a container's image is not there.
type Failure struct {
	// Reason and Message are what the container's waiting state shows.
	Reason, Message string
	// Retry is when to ask again.
	Retry time.Duration
}

// Request is the wish of one container for its image.
type Request struct {
	Pod types.UID
	// Container is what events are about.
	Container *corev1.ObjectReference
	Image     string
	Policy    corev1.PullPolicy
	// Secrets are the pod's pull secrets.
	Secrets []corev1.Secret
}

// Manager sees to it that images are on the node, with kubelet's back-off for each pod and image.
type Manager struct {
	puller   *Puller
	recorder record.EventRecorder
	clock    clock.PassiveClock
	base     time.Duration
	backoff  *flowcontrol.Backoff

	mu       sync.Mutex
	present  map[string]Image
	failures map[types.UID]map[string]lastFailure
}

// lastFailure is what the back-off of an image rests on.
type lastFailure struct {
	text  string
	until time.Time
}

// NewManager returns a manager whose back-off begins at base and doubles up to limit.
func NewManager(puller *Puller, recorder record.EventRecorder, clk clock.Clock, base, limit time.Duration) *Manager {
	return &Manager{
		puller:   puller,
		recorder: recorder,
		clock:    clk,
		base:     base,
		backoff:  flowcontrol.NewBackOff(base, limit),
		present:  map[string]Image{},
		failures: map[types.UID]map[string]lastFailure{},
	}
}

// Ensure returns the image that the container asks for, pulling it if need be, or why it is not there.
func (m *Manager) Ensure(ctx context.Context, request Request) (Image, *Failure) {
	named, err := reference.ParseDockerRef(request.Image)
	if err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", request.Image, request.Image, err)
		m.recorder.Event(request.Container, corev1.EventTypeWarning, "InspectFailed", message)
		return Image{}, &Failure{Reason: reasonInvalidImageName, Message: message, Retry: max(m.base, resync)}
	}
	if request.Policy != corev1.PullAlways {
		if img, ok := m.find(named.String()); ok {
			m.recorder.Eventf(request.Container, corev1.EventTypeNormal, "Pulled",
				"Container image %q already present on machine and can be accessed by the pod", request.Image)
			return img, nil
		}
		if request.Policy == corev1.PullNever {
			message := fmt.Sprintf("Container image %q is not present with pull policy of Never", request.Image)
			m.recorder.Event(request.Container, corev1.EventTypeWarning, reasonErrImageNeverPull, message)
			return Image{}, &Failure{Reason: reasonErrImageNeverPull, Message: message, Retry: max(m.base, resync)}
		}
	}
	if failure := m.inBackoff(request); failure != nil {
		m.recorder.Eventf(request.Container, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", request.Image)
		return Image{}, failure
	}
	return m.pull(ctx, request, named)
}

func (m *Manager) pull(ctx context.Context, request Request, named reference.Named) (Image, *Failure) {
	m.recorder.Eventf(request.Container, corev1.EventTypeNormal, "Pulling", "Pulling image %q", request.Image)
	begin := m.clock.Now()
	img, err := m.puller.Pull(ctx, named, request.Secrets)
	if err != nil {
		m.recorder.Eventf(request.Container, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %v", request.Image, err)
		m.remember(request, err)
		// Kubelet looks at the pod again soon after, and then reports the back-off.
		return Image{}, &Failure{Reason: reasonErrImagePull, Message: err.Error(), Retry: m.base / 10}
	}
	took := m.clock.Since(begin).Truncate(time.Millisecond)
	m.recorder.Eventf(request.Container, corev1.EventTypeNormal, "Pulled",
		"Successfully pulled image %q in %v (%v including waiting). Image size: %v bytes.", request.Image, took, took, img.Size)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.present[named.String()] = img
	delete(m.failures[request.Pod], request.Image)
	return img, nil
}

// Forget drops what is known of a pod that is gone.
func (m *Manager) Forget(pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.failures, pod)
	m.backoff.GC()
}

func (m *Manager) find(name string) (Image, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	img, ok := m.present[name]
	return img, ok
}

func (m *Manager) inBackoff(request Request) *Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, ok := m.failures[request.Pod][request.Image]
	rest := last.until.Sub(m.clock.Now())
	if !ok || rest <= 0 {
		return nil
	}
	return &Failure{
		Reason:  reasonImagePullBackOff,
		Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", request.Image, reasonErrImagePull, last.text),
		Retry:   rest,
	}
}

func (m *Manager) remember(request Request, err error) {
	now := m.clock.Now()
	key := string(request.Pod) + "_" + request.Image
	m.backoff.Next(key, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures[request.Pod] == nil {
		m.failures[request.Pod] = map[string]lastFailure{}
	}
	m.failures[request.Pod][request.Image] = lastFailure{text: err.Error(), until: now.Add(m.backoff.Get(key))}
}
