// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/decision"
)

// front stands between the operator and its cloud, and looks at each policy that the operator is about to write, beside the
// one that is there. Other writers go through it too, so that between its look and the write nothing changes.
type front struct {
	url     string
	cloud   *gcpemulator.Emulator
	forward http.Handler
	// flying counts the writes that have arrived and have not been answered. Its lock is that of landed, which tells when there
	// are none: under mu a write that waits for another one would not count.
	flying int
	landed *sync.Cond

	mu  sync.Mutex
	run *randomRun
}

func newFront(t *testing.T, cloud *gcpemulator.Emulator) *front {
	t.Helper()
	target, err := url.Parse(cloud.URL())
	if err != nil {
		t.Fatal(err)
	}
	f := &front{cloud: cloud, landed: sync.NewCond(&sync.Mutex{}), forward: &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { hangUp(w) },
	}}
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A killed operator leaves its connections.
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	f.url = server.URL
	return f
}

// hangUp passes on that the cloud has closed the connection.
func hangUp(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource, writes := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/"), ":setIamPolicy")
	if !writes {
		f.forward.ServeHTTP(w, r)
		return
	}
	f.fly(1)
	defer f.fly(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // Half a request of an operator that was killed.
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.cloud.Policy(resource)
	f.judge(resource, before, body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	// What was sent arrives, whoever has died meanwhile.
	f.forward.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	f.count(resource, before, f.cloud.Policy(resource))
	f.run.happened("= writes tried")
}

// fly changes the number of flying writes.
func (f *front) fly(by int) {
	f.landed.L.Lock()
	defer f.landed.L.Unlock()
	if f.flying += by; f.flying == 0 {
		f.landed.Broadcast()
	}
}

// drain waits until all that was sent has been done.
func (f *front) drain() {
	f.landed.L.Lock()
	defer f.landed.L.Unlock()
	for f.flying > 0 {
		f.landed.Wait()
	}
}

// judge looks at a write before it is done.
func (f *front) judge(resource string, before *iampb.Policy, body []byte) {
	r := f.run
	p := r.at(resource)
	if p == nil {
		r.violate("the policy of %s is written, which no run knows", resource)
		return
	}
	r.writes++
	var request iampb.SetIamPolicyRequest
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &request); err != nil {
		r.violate("a policy is written that is none: %v", err)
		return
	}
	wanted := request.GetPolicy()
	switch {
	case len(wanted.GetEtag()) == 0:
		r.violate("the policy of %s is written without an etag", p.repository.Name)
		return
	case !bytes.Equal(wanted.GetEtag(), before.GetEtag()):
		return // The cloud refuses it.
	}
	if err := sameForeign(foreignPart(before), foreignPart(wanted)); err != nil {
		r.violate("a write at %s touches what is not the operator's: %v", p.repository.Name, err)
	}
	was, will := ownMembers(before), ownMembers(wanted)
	added, removed := without(will, was), without(was, will)
	if len(added)+len(removed) == 0 {
		r.violate("a write at %s changes nothing", p.repository.Name)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(will)))) != len(will) {
		r.violate("a write at %s names a member twice: %v", p.repository.Name, will)
	}
	for _, member := range added {
		if !r.mayAdd(pair{resource, member}) {
			r.violate("%s is added at %s, which no policy in force since the operator's start has allowed", member, p.repository.Name)
		}
	}
	for _, member := range slices.Concat(added, removed) {
		if err := intentRecorded(p, member); err != nil {
			r.violate("%s is written at %s (etag %s): %v", member, p.repository.Name, base64.StdEncoding.EncodeToString(before.GetEtag()), err)
		}
	}
}

// intentRecorded wants the intent to change the member on record, in an object that cannot vanish.
func intentRecorded(p *place, member string) error {
	var grant v1alpha1.PullAccessGrant
	err := shared.client.Get(context.Background(), client.ObjectKey{Name: decision.GrantName(p.repository, member)}, &grant)
	switch write := grant.Status.Write; {
	case err != nil:
		return err
	case !slices.Contains(grant.Finalizers, v1alpha1.Finalizer):
		return errors.New("its record has no finalizer")
	case write == nil || write.EtagAfter != "":
		return fmt.Errorf("no intent is on record: %+v", write)
	}
	return nil
}

// count notes who came in by a write.
func (f *front) count(resource string, before, after *iampb.Policy) {
	p := f.run.at(resource)
	if p == nil {
		return
	}
	for range without(ownMembers(before), ownMembers(after)) {
		f.run.happened(removedTotal)
	}
	for _, member := range without(ownMembers(after), ownMembers(before)) {
		f.run.happened(addedTotal)
		if !f.run.taken(pair{resource, member}) { // What others took out may be put back by what was begun before.
			p.added++
		}
		f.run.take(pair{resource, member}, false)
	}
	if p.added > p.budget {
		f.run.violate("%d members were added at %s, whose policies allow %d in an hour", p.added, p.repository.Name, p.budget)
	}
}

// write changes a policy as somebody else does.
func (f *front) write(p *place, edit func([]*iampb.Binding) []*iampb.Binding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	policy := f.cloud.Policy(p.resource())
	f.cloud.SetPolicy(p.resource(), &iampb.Policy{Bindings: edit(policy.GetBindings())})
	p.foreign = foreignPart(f.cloud.Policy(p.resource()))
}

func (f *front) takeOut(p *place, member string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	policy := f.cloud.Policy(p.resource())
	if !slices.Contains(ownMembers(policy), member) {
		return
	}
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() == readerRole {
			binding.Members = slices.DeleteFunc(binding.GetMembers(), func(m string) bool { return m == member })
		}
	}
	f.cloud.SetPolicy(p.resource(), policy)
	f.run.take(pair{p.resource(), member}, true)
}

// foreignEdits change what is not the operator's, its member in another role included. A repository may begin with the first
// of them.
var foreignEdits = []struct {
	name string
	edit func([]*iampb.Binding) []*iampb.Binding
}{
	{"our member gets a role by which nobody pulls", func(all []*iampb.Binding) []*iampb.Binding {
		return append(all, &iampb.Binding{
			Role: "roles/storage.objectViewer", Members: []string{"user:ci@example.com", v1alpha1.ServiceAccountMember(randomNodes[1].account)},
		})
	}},
	{"an administrator comes first", func(all []*iampb.Binding) []*iampb.Binding {
		return append([]*iampb.Binding{{Role: "roles/artifactregistry.admin", Members: []string{"user:admin@example.com"}}}, all...)
	}},
	{"a reader comes", func(all []*iampb.Binding) []*iampb.Binding {
		return append(all, &iampb.Binding{Role: readerRole, Members: []string{"user:dev@example.com", "group:readers@example.com"}})
	}},
	{"the readers begin with another", func(all []*iampb.Binding) []*iampb.Binding {
		return append([]*iampb.Binding{{Role: readerRole, Members: []string{"user:first@example.com"}}}, all...)
	}},
	{"the other roles go", func(all []*iampb.Binding) []*iampb.Binding {
		return slices.DeleteFunc(all, func(b *iampb.Binding) bool { return b.GetRole() != readerRole })
	}},
	{"the other readers go", func(all []*iampb.Binding) []*iampb.Binding {
		for _, b := range all {
			if b.GetRole() == readerRole {
				b.Members = slices.DeleteFunc(b.GetMembers(), func(m string) bool { return !isOwn(m) })
			}
		}
		return all
	}},
}

// startingEdits is how many of them a repository may begin with: other roles, and other readers.
const startingEdits = 4

func isOwn(member string) bool {
	return slices.ContainsFunc(randomNodes, func(n node) bool {
		return strings.EqualFold(member, v1alpha1.ServiceAccountMember(n.account))
	})
}

// ownMembers are the members of the reader binding that only the operator adds, each as often as it is there.
func ownMembers(policy *iampb.Policy) []string {
	var own []string
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() != readerRole || binding.GetCondition() != nil {
			continue
		}
		for _, member := range binding.GetMembers() {
			if isOwn(member) {
				own = append(own, member)
			}
		}
	}
	return own
}

// foreignPart is the policy without them.
func foreignPart(policy *iampb.Policy) []*iampb.Binding {
	var foreign []*iampb.Binding
	for _, binding := range policy.GetBindings() {
		rest := proto.CloneOf(binding)
		if binding.GetRole() == readerRole && binding.GetCondition() == nil {
			rest.Members = slices.DeleteFunc(rest.GetMembers(), isOwn)
			if len(rest.GetMembers()) == 0 {
				continue
			}
		}
		foreign = append(foreign, rest)
	}
	return foreign
}

// sameForeign compares exactly, the order of bindings and of members included.
func sameForeign(want, got []*iampb.Binding) error {
	if slices.EqualFunc(want, got, func(a, b *iampb.Binding) bool { return proto.Equal(a, b) }) {
		return nil
	}
	return fmt.Errorf("want %v, got %v", want, got)
}

func without(all, those []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(m string) bool { return slices.Contains(those, m) })
}
