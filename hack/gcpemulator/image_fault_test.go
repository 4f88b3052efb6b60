// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// pullOnce pulls an image through the emulator, without a second try at anything.
func pullOnce(t *testing.T, e *Emulator, image string, auth authn.Authenticator) error {
	t.Helper()
	host, path, _ := strings.Cut(image, "/")
	reference, err := name.ParseReference(strings.TrimPrefix(e.URL(), "http://") + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(reference, remote.WithContext(t.Context()), remote.WithTransport(mirror{of: host}), remote.WithAuth(auth),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	if err != nil {
		return err
	}
	return validate.Image(pulled)
}

// A fault is played for the one image, to whoever asks, and until it is taken back.
func TestImageFaults(t *testing.T) {
	for _, fault := range ImageFaults() {
		if fault.AtUnpacking() || fault == ConnectionSilent || fault == HandshakeSilent {
			continue // The first shows only to who unpacks; for the others see TestSilentFaults.
		}
		t.Run(string(fault), func(t *testing.T) {
			e, _ := newEmulator(t)
			faulty := "us-central1-docker.pkg.dev/acme/services/faulty:1.0"
			if err := e.PushImage(faulty); err != nil {
				t.Fatal(err)
			}
			if err := e.SetImageFault(faulty, fault); err != nil {
				t.Fatal(err)
			}
			auth := authn.Authenticator(&authn.Basic{Username: "oauth2accesstoken", Password: e.Token(node)})
			if fault.Anonymous() {
				auth = authn.Anonymous
			}
			if err := pullOnce(t, e, faulty, auth); err == nil {
				t.Error("the image could be pulled")
			}
			refused := slices.ContainsFunc(e.Requests(), func(r Request) bool { return r.Caller != "" && r.Status == http.StatusForbidden })
			if refused != fault.RefusesIdentity() {
				t.Errorf("an identity was answered 403: %t, want %t", refused, fault.RefusesIdentity())
			}

			e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
			token := &authn.Basic{Username: "oauth2accesstoken", Password: e.Token(node)}
			if err := pullOnce(t, e, appImage, token); err != nil {
				t.Errorf("another image: %v", err)
			}
			e.ClearFaults()
			if err := pullOnce(t, e, faulty, token); err != nil {
				t.Errorf("after the fault is taken back: %v", err)
			}
		})
	}
}

func TestSilentFaults(t *testing.T) {
	transport := &http.Transport{TLSHandshakeTimeout: 50 * time.Millisecond, ResponseHeaderTimeout: 50 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	for _, fault := range []ImageFault{ConnectionSilent, HandshakeSilent} {
		e, _ := newEmulator(t)
		if err := e.SetImageFault("registry.example.com/team/app:1", fault); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+"/v2/team/app/manifests/1?ns=registry.example.com", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+e.Token(node))
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
		var slow net.Error
		if !errors.As(err, &slow) || !slow.Timeout() {
			t.Errorf("%s: %v, want the client to lose its patience", fault, err)
		}
	}
}

// Whoever asks may learn from a fault what it plays.
func TestImageFaultsAreNamed(t *testing.T) {
	for _, fault := range ImageFaults() {
		for _, cause := range []pullfailure.Cause{fault.Cause(), fault.TextCause()} {
			if !slices.Contains(pullfailure.Causes(), cause) {
				t.Errorf("%s has cause %q, which there is not", fault, cause)
			}
		}
		if fault.TextCause() == pullfailure.PermissionDenied && !fault.RefusesIdentity() && fault != BlobStorageDenied {
			t.Errorf("%s reads as a missing permission, and nobody was refused", fault)
		}
	}
	e, _ := newEmulator(t)
	if err := e.SetImageFault(appImage, "no-such-fault"); err == nil {
		t.Error("a fault that there is not was set")
	}
	if err := e.SetImageFault("us-central1-docker.pkg.dev/acme", TagMissing); err == nil {
		t.Error("a fault was set for an image that there cannot be")
	}
}
