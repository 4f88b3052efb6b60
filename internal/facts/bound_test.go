// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// present is a cluster in which every requested object exists.
type present struct{ client.Reader }

func (present) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return nil
}

// TestWhatIsRememberedIsBounded reads many service accounts and pull secrets, some with
// long names.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	const many, most = 20000, 5000
	o := New(Observer{Live: present{}, Secrets: present{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})
	image, err := imageref.Parse("us-docker.pkg.dev/acme-prod/services/checkout:1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		name := fmt.Sprint(i)
		if _, err := o.federated(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}); err != nil {
			t.Fatal(err)
		}
		facts := diagnosis.Facts{Reference: image, Puller: diagnosis.Puller{Secrets: named(&corev1.Pod{Spec: corev1.PodSpec{
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: name}, {Name: strings.Repeat("s", 1<<12) + name}},
		}})}}
		if err := o.readSecrets(t.Context(), "shop", &facts); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(o.accounts.Keys()); n == 0 || n > most {
		t.Errorf("%d service accounts are remembered, want some, and at most %d", n, most)
	}
	keys := o.secrets.Keys()
	if len(keys) == 0 || len(keys) > most {
		t.Errorf("%d pull secrets are remembered, want some, and at most %d", len(keys), most)
	}
	for _, key := range keys {
		if key, ok := key.(secretKey); !ok || len(key.name) > 254 {
			t.Fatalf("a secret is remembered by a name of %d bytes", len(key.name))
		}
	}
}
