// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apiServer answers as an API server does, as far as Live asks: field selectors
// of pods and events, label selectors, pages, and tokens that expire.
type apiServer struct {
	t       *testing.T
	objects []client.Object
	// page bounds each answer, whatever is asked for.
	page int
	// expire has every token be too old.
	expire bool
	// refuse holds errors by "list pods", "list events" and "get"; the latter two also
	// of one reason or pod alone, as in "get web".
	refuse map[string]error

	mu       sync.Mutex
	requests []string
}

func (s *apiServer) record(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
}

func (s *apiServer) Get(ctx context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	s.record(fmt.Sprintf("get %T %s", object, key))
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cmp.Or(s.refuse["get"], s.refuse["get "+key.Name]); err != nil {
		return err
	}
	for _, o := range s.objects {
		if client.ObjectKeyFromObject(o) == key && fmt.Sprintf("%T", o) == fmt.Sprintf("%T", object) {
			return copyInto(o, object)
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, key.Name)
}

func copyInto(from, to runtime.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(from)
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(content, to)
}

func (s *apiServer) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var o client.ListOptions
	o.ApplyOptions(options)
	kind := "pods"
	if _, ok := list.(*corev1.EventList); ok {
		kind = "events"
	}
	fieldText := ""
	if o.FieldSelector != nil {
		fieldText = o.FieldSelector.String()
	}
	s.record(fmt.Sprintf("list %s %q %s limit %d", kind, o.Namespace, fieldText, o.Limit))
	if err := s.refuse["list "+kind]; err != nil {
		return err
	}
	if o.FieldSelector != nil {
		for _, r := range o.FieldSelector.Requirements() {
			if err := s.refuse["list "+kind+" "+r.Value]; err != nil {
				return err
			}
		}
	}
	if s.expire && o.Continue != "" {
		return apierrors.NewResourceExpired("the token is too old")
	}
	var found []runtime.Object
	for _, object := range s.objects {
		if s.matches(kind, object, o) {
			found = append(found, object.DeepCopyObject())
		}
	}
	start, _ := strconv.Atoi(o.Continue)
	end := len(found)
	if s.page > 0 && o.Limit > 0 {
		end = min(start+s.page, len(found))
	}
	if end < len(found) {
		list.SetContinue(strconv.Itoa(end))
	}
	return meta.SetList(list, found[start:end])
}

func (s *apiServer) matches(kind string, object client.Object, o client.ListOptions) bool {
	var attributes fields.Set
	switch of := object.(type) {
	case *corev1.Pod:
		if kind != "pods" {
			return false
		}
		attributes = fields.Set{"status.phase": string(of.Status.Phase)}
	case *corev1.Event:
		if kind != "events" {
			return false
		}
		attributes = fields.Set{
			"reason": of.Reason, "involvedObject.kind": of.InvolvedObject.Kind, "involvedObject.name": of.InvolvedObject.Name,
			"reportingComponent": of.ReportingController,
		}
	default:
		return false
	}
	if o.FieldSelector != nil {
		for _, r := range o.FieldSelector.Requirements() {
			if !attributes.Has(r.Field) {
				s.t.Errorf("API servers select no %s by %s", kind, r.Field)
			}
		}
	}
	return (o.Namespace == "" || o.Namespace == object.GetNamespace()) &&
		(o.FieldSelector == nil || o.FieldSelector.Matches(attributes)) &&
		(o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(object.GetLabels())))
}

// asked tells how many requests begin so.
func (s *apiServer) asked(prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(s.requests), func(r string) bool { return len(r) < len(prefix) || r[:len(prefix)] != prefix }))
}
