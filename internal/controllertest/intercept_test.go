// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestEveryVerbIsIntercepted fails when controller-runtime adds a verb.
func TestEveryVerbIsIntercepted(t *testing.T) {
	funcs := reflect.ValueOf(New(t).intercept())
	for i := range funcs.NumField() {
		// SubResource replaces the client of a subresource, whose verbs have fields of their own.
		if name := funcs.Type().Field(i).Name; name != "SubResource" && funcs.Field(i).IsNil() {
			t.Errorf("%s bypasses Calls and Faults", name)
		}
	}
}

func TestVerbsAreRecordedAndFail(t *testing.T) {
	errInjected := errors.New("injected")
	pod := Pod("node-1", "web-1", Image)
	deployment := Deployment("web", Image)
	applied := func() *applycorev1.PodApplyConfiguration { return applycorev1.Pod("web-1", Namespace) }
	for name, tc := range map[string]struct {
		call  func(context.Context, client.WithWatch) error
		want  string
		fault interceptor.Funcs
		write bool
	}{
		"get": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Get(ctx, client.ObjectKeyFromObject(pod), &corev1.Pod{})
			},
			want: "get Pod shop/web-1",
			fault: interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return errInjected
			}},
		},
		"list": {
			call: func(ctx context.Context, c client.WithWatch) error { return c.List(ctx, &corev1.PodList{}) },
			want: "list PodList",
			fault: interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
				return errInjected
			}},
		},
		"watch": {
			call: func(ctx context.Context, c client.WithWatch) error {
				_, err := c.Watch(ctx, &corev1.PodList{})
				return err
			},
			want: "watch PodList",
			fault: interceptor.Funcs{Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
				return nil, errInjected
			}},
		},
		"get of a subresource": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.SubResource("scale").Get(ctx, deployment.DeepCopy(), &autoscalingv1.Scale{})
			},
			want: "get scale Deployment shop/web",
			fault: interceptor.Funcs{SubResourceGet: func(context.Context, client.Client, string, client.Object, client.Object, ...client.SubResourceGetOption) error {
				return errInjected
			}},
		},
		"create": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Create(ctx, Pod("node-1", "web-2", Image))
			},
			want: "create Pod shop/web-2", write: true,
			fault: interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
				return errInjected
			}},
		},
		"update": {
			call: func(ctx context.Context, c client.WithWatch) error { return c.Update(ctx, pod.DeepCopy()) },
			want: "update Pod shop/web-1", write: true,
			fault: interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
				return errInjected
			}},
		},
		"delete": {
			call: func(ctx context.Context, c client.WithWatch) error { return c.Delete(ctx, pod.DeepCopy()) },
			want: "delete Pod shop/web-1", write: true,
			fault: interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
				return errInjected
			}},
		},
		"delete of all": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(Namespace))
			},
			want: "deletecollection Pod", write: true,
			fault: interceptor.Funcs{DeleteAllOf: func(context.Context, client.WithWatch, client.Object, ...client.DeleteAllOfOption) error {
				return errInjected
			}},
		},
		"patch": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Patch(ctx, pod.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte("{}")))
			},
			want: "patch Pod shop/web-1", write: true,
			fault: interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
				return errInjected
			}},
		},
		"apply": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Apply(ctx, applied(), client.FieldOwner("test"))
			},
			want: "apply Pod shop/web-1", write: true,
			fault: interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
				return errInjected
			}},
		},
		"create of a subresource": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.SubResource("eviction").Create(ctx, pod.DeepCopy(), &policyv1.Eviction{})
			},
			want: "create eviction Pod shop/web-1", write: true,
			fault: interceptor.Funcs{SubResourceCreate: func(context.Context, client.Client, string, client.Object, client.Object, ...client.SubResourceCreateOption) error {
				return errInjected
			}},
		},
		"update of status": {
			call: func(ctx context.Context, c client.WithWatch) error { return c.Status().Update(ctx, pod.DeepCopy()) },
			want: "update status Pod shop/web-1", write: true,
			fault: interceptor.Funcs{SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
				return errInjected
			}},
		},
		"patch of status": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Status().Patch(ctx, pod.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte("{}")))
			},
			want: "patch status Pod shop/web-1", write: true,
			fault: interceptor.Funcs{SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
				return errInjected
			}},
		},
		"apply of status": {
			call: func(ctx context.Context, c client.WithWatch) error {
				return c.Status().Apply(ctx, applied(), client.FieldOwner("test"))
			},
			want: "apply status Pod shop/web-1", write: true,
			fault: interceptor.Funcs{SubResourceApply: func(context.Context, client.Client, string, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
				return errInjected
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(t, pod.DeepCopy(), deployment.DeepCopy())
			if err := tc.call(t.Context(), e.Client); err != nil {
				t.Errorf("the call returns %v, want that it reaches the API server", err)
			}
			e.Faults = tc.fault
			if err := tc.call(t.Context(), e.Client); !errors.Is(err, errInjected) {
				t.Errorf("the call returns %v, want the fault", err)
			}
			if diff := cmp.Diff([]string{tc.want, tc.want}, e.Calls.Strings()); diff != "" {
				t.Errorf("recorded calls (-want +got):\n%s", diff)
			}
			if writes := e.Writes(); len(writes) > 0 != tc.write {
				t.Errorf("Writes counts %v, want a write: %t", writes, tc.write)
			}
		})
	}
}
