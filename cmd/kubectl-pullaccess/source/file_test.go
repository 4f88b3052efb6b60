// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	podJSON = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"},
 "spec":{"containers":[{"name":"app","image":"nginx:1"}]},
 "status":{"phase":"Pending","containerStatuses":[{"name":"app","state":{"waiting":{"reason":"ErrImagePull","message":"not found"}}}]}}`
	podYAML = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: app, image: "nginx:1"}]}
status:
  phase: Pending
  containerStatuses:
  - name: app
    state: {waiting: {reason: ErrImagePull, message: "not found\n---\n"}}
`
	nodeYAML = "apiVersion: v1\nkind: Node\nmetadata: {name: node-1, labels: {pool: a}}\nspec: {providerID: gce://p/z/node-1}\n"
)

func TestFiles(t *testing.T) {
	repull := strings.NewReplacer(`"web"`, `"repull"`, "Pending", "Running", `"waiting":{"reason":"ErrImagePull","message":"not found"}`, `"terminated":{"exitCode":1}`).Replace(podJSON)
	oldEvent := `{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"shop"},"reason":"Failed","message":"Failed to pull image \"nginx:1\": not found",
 "involvedObject":{"kind":"Pod","namespace":"shop","name":"repull","fieldPath":"spec.containers{app}"},"lastTimestamp":"2026-11-01T03:00:00Z"}`
	newEvent := `{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e","namespace":"shop"},"reason":"Failed","note":"Failed to pull image \"nginx:1\": not found",
 "regarding":{"kind":"Pod","namespace":"shop","name":"repull","fieldPath":"spec.containers{app}"},"deprecatedLastTimestamp":"2026-11-01T03:00:00Z"}`
	list := func(items ...string) string {
		return `{"apiVersion":"v1","items":[` + strings.Join(items, ",\n") + `],"kind":"List"}`
	}
	tests := map[string]struct {
		text string
		want []string
	}{
		"one object":           {podJSON, []string{"web"}},
		"list":                 {list(podJSON), []string{"web"}},
		"typed list":           {strings.Replace(list(podJSON), `"List"`, `"PodList"`, 1), []string{"web"}},
		"several documents":    {list() + "\n" + podJSON + list(), []string{"web"}},
		"the same twice":       {podJSON + podJSON, []string{"web"}},
		"event":                {list(repull, oldEvent), []string{"repull"}},
		"event before its pod": {oldEvent + repull, []string{"repull"}},
		"event of the new API": {list(repull, newEvent), []string{"repull"}},
		"pod without event":    {list(repull), nil},
		"other kinds":          {list(`{"apiVersion":"apps/v1","kind":"Deployment","spec":"odd"}`, podJSON), []string{"web"}},
		"byte order mark":      {"\xef\xbb\xbf" + podJSON, []string{"web"}},
		"YAML":                 {podYAML, []string{"web"}},
		"YAML, CRLF":           {strings.ReplaceAll("# of shop\n---\n"+podYAML, "\n", "\r\n"), []string{"web"}},
		"YAML list":            {"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(podYAML, "\n", "\n  "), []string{"web"}},
		"YAML documents":       {"---\n" + nodeYAML + "--- # the pod\n" + podYAML + "---\n# the end\n", []string{"web"}},
		"empty list":           {list(), nil},
		"list of null":         {`{"apiVersion":"v1","kind":"List","items":null}`, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := Files([]string{"-"}, strings.NewReader(tc.text), Request{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, namesOf(got)); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesNameTheLine(t *testing.T) {
	wrong := strings.Replace(podJSON, `"name":"web"`, `"name":5`, 1)
	tests := map[string]struct {
		text string
		want []string
	}{
		"comments":              {"# nothing\n---\n", []string{"standard input:1:", "no Kubernetes objects"}},
		"blanks":                {" \n", []string{"standard input:1:", "no Kubernetes objects"}},
		"empty":                 {"", []string{"standard input:1:", "kubectl get pods,events -o json"}},
		"no kind":               {podJSON + "\n{}", []string{"standard input:4:", "no Kubernetes objects"}},
		"broken":                {podJSON + "\n{\n \"kind\": }", []string{"standard input:5:", "broken or cut off"}},
		"cut off":               {podJSON[:len(podJSON)-5], []string{"standard input:3:", "broken or cut off"}},
		"of another type":       {"\n\n" + wrong, []string{"standard input:3:"}},
		"item of another type":  {"{\"kind\":\"List\",\"items\":[\n" + podJSON + ",\n\n" + wrong + "]}", []string{"standard input:6:"}},
		"field of another type": {strings.Replace(podJSON, `[{"name":"app"`, `[{"name":[]`, 1), []string{"standard input:1:", "Pod shop/web cannot be read"}},
		"YAML":                  {"apiVersion: v1\nkind: Pod\n  odd: x\n", []string{"standard input:3:", "YAML is broken"}},
		"YAML, second document": {"kind: Node\napiVersion: v1\n---\nkind: Pod\na: [\n", []string{"standard input:", "YAML is broken"}},
		"YAML, wrong type":      {"kind: Node\n---\n# a pod\n\n" + strings.Replace(podYAML, "containers: [{name: app", "containers: [{name: []", 1), []string{"standard input:5:", "Pod shop/web"}},
		"text":                  {"web 0/1 ErrImagePull", []string{"standard input:1:", "no Kubernetes objects"}},
		"UTF-16":                {"\xff\xfe{\x00", []string{"standard input:1:", "UTF-16"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := Files([]string{"-"}, strings.NewReader(tc.text), Request{})
			if err == nil {
				t.Fatalf("it was taken: %v", namesOf(got))
			}
			for _, word := range tc.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it says %q, want it to say %q", err, word)
				}
			}
		})
	}
}

// TestFilesSayWhatIsMissing: a script must not take a file that shows no pods for a
// cluster in which nothing fails.
func TestFilesSayWhatIsMissing(t *testing.T) {
	const form = "; write it with: kubectl get pods,events -o json"
	healthy := strings.Replace(podJSON, `"waiting":{"reason":"ErrImagePull","message":"not found"}`, `"running":{}`, 1)
	files := map[string]string{
		"healthy.json": healthy,
		"nodes.yaml":   nodeYAML,
		"others.json":  `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop","name":"web"}}]}`,
		"empty.json":   `{"apiVersion":"v1","kind":"List","items":[]}`,
	}
	tests := map[string]struct {
		files   []string
		request Request
		want    string
	}{
		"healthy":               {[]string{"healthy.json"}, Request{}, ""},
		"empty":                 {[]string{"empty.json"}, Request{}, ""},
		"namespace of empty":    {[]string{"empty.json"}, Request{Namespace: "shop"}, ""},
		"namespace":             {[]string{"healthy.json"}, Request{Namespace: "shop"}, ""},
		"nobody selected":       {[]string{"healthy.json"}, Request{Namespace: "shop", Selector: labels.SelectorFromSet(labels.Set{"a": "b"})}, ""},
		"no pod":                {[]string{"nodes.yaml"}, Request{}, "no pod is in nodes.yaml" + form},
		"no pod, of no use":     {[]string{"others.json", "empty.json"}, Request{}, "no pod is in others.json, empty.json" + form},
		"of another namespace":  {[]string{"healthy.json", "nodes.yaml"}, Request{Namespace: "pay"}, "no pod in namespace pay is in healthy.json, nodes.yaml" + form},
		"that pod":              {[]string{"healthy.json"}, Request{Target: Target{"Pod", "zz"}}, "pod/zz is not in healthy.json"},
		"that pod of that name": {[]string{"healthy.json", "empty.json"}, Request{Namespace: "pay", Target: Target{"Pod", "web"}}, "pod/web in namespace pay is not in healthy.json, empty.json"},
		"that workload":         {[]string{"others.json"}, Request{Target: Target{"Deployment", "web"}}, "no pod of deployment/web is in others.json"},
	}
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := Files(tc.files, nil, tc.request)
			says := ""
			if err != nil {
				says = err.Error()
			}
			if says != tc.want || len(got.Pods) > 0 {
				t.Errorf("it finds %v and says %q, want %q", namesOf(got), says, tc.want)
			}
		})
	}
}

// TestStore: what the file has is read, and what it has not is unknown rather than absent.
func TestStore(t *testing.T) {
	text := podYAML + "---\n" + nodeYAML + "---\napiVersion: pullaccess.dev/v1alpha1\nkind: PullAccessPolicy\nmetadata: {name: p}\n" +
		"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {env: prod}}\n"
	_, store, err := Files([]string{"-"}, strings.NewReader(text), Request{})
	if err != nil {
		t.Fatal(err)
	}
	node := &corev1.Node{}
	if err := store.Get(t.Context(), types.NamespacedName{Name: "node-1"}, node); err != nil || node.Spec.ProviderID != "gce://p/z/node-1" {
		t.Errorf("node %+v, %v", node, err)
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := store.Get(t.Context(), types.NamespacedName{Name: "shop"}, namespace); err != nil || namespace.Labels["env"] != "prod" {
		t.Errorf("namespace %+v, %v", namespace, err)
	}
	var policies v1alpha1.PullAccessPolicyList
	if err := store.List(t.Context(), &policies); err != nil || len(policies.Items) != 1 {
		t.Errorf("policies %+v, %v", policies, err)
	}
	for name, object := range map[string]client.Object{"none": &corev1.Node{}, "default": &corev1.ServiceAccount{}} {
		if err := store.Get(t.Context(), types.NamespacedName{Name: name}, object); !apierrors.IsForbidden(err) {
			t.Errorf("%T %s, which is not in the file: %v", object, name, err)
		}
	}
	if err := newStore().List(t.Context(), &policies); !apierrors.IsForbidden(err) {
		t.Errorf("policies, which are not in the file: %v", err)
	}
}
