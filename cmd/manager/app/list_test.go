// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func emptyPod() (client.Object, error) { return &corev1.Pod{}, nil }

// TestListIsReadObjectByObject sends each object only after the reader passed on the one
// before. A reader that waits for the whole list never returns.
func TestListIsReadObjectByObject(t *testing.T) {
	const pods = 5
	from, to := io.Pipe()
	visited := make(chan string)
	go func() {
		_, _ = io.WriteString(to, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"next"},"items":[`)
		for i := range pods {
			separator := ","
			if i == 0 {
				separator = ""
			}
			text, _ := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Labels: map[string]string{"a": strings.Repeat("v", 1<<20)}}})
			_, _ = io.WriteString(to, separator+string(text))
			<-visited
		}
		_, _ = io.WriteString(to, "]}\n")
		_ = to.Close()
	}()
	var names []string
	found, err := decodeList(from, emptyPod, func(object client.Object) error {
		names = append(names, object.GetName())
		visited <- object.GetName()
		return nil
	})
	if err != nil || found.ResourceVersion != "7" || found.Continue != "next" || strings.Join(names, "") != "01234" {
		t.Errorf("pods %v, %+v, %v", names, found, err)
	}
}

func TestBrokenListsAreErrors(t *testing.T) {
	errStop := errors.New("stop")
	tests := map[string]struct {
		text  string
		items int
		fails bool
	}{
		"none":               {text: `{"metadata":{"resourceVersion":"7"},"items":null}`},
		"empty":              {text: `{"metadata":{"resourceVersion":"7"},"items":[]}`},
		"metadata last":      {text: `{"items":[{"metadata":{"name":"x"}}],"other":{"a":[1]},"metadata":{"resourceVersion":"7"}}`, items: 1},
		"nothing":            {fails: true},
		"ends in an object":  {text: `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"x"}},{"metada`, items: 1, fails: true},
		"ends after one":     {text: `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"x"}}`, items: 1, fails: true},
		"ends after all":     {text: `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"x"}}]`, items: 1, fails: true},
		"no list":            {text: `[]`, fails: true},
		"items are no list":  {text: `{"metadata":{"resourceVersion":"7"},"items":{}}`, fails: true},
		"no version":         {text: `{"items":[]}`, fails: true},
		"an item is a text":  {text: `{"metadata":{"resourceVersion":"7"},"items":["x"]}`, fails: true},
		"the visitor fails":  {text: `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"stop"}}]}`, items: 1, fails: true},
		"the metadata are 7": {text: `{"metadata":7,"items":[]}`, fails: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			items := 0
			_, err := decodeList(strings.NewReader(tc.text), emptyPod, func(object client.Object) error {
				items++
				if object.GetName() == "stop" {
					return errStop
				}
				return nil
			})
			if items != tc.items || (err != nil) != tc.fails {
				t.Errorf("%d items, %v; want %d, and an error: %v", items, err, tc.items, tc.fails)
			}
		})
	}
}

// waitingReader is a client.Reader whose reads block.
type waitingReader struct {
	client.Reader
	began chan struct{}
	end   chan struct{}
}

func (r waitingReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	r.began <- struct{}{}
	<-r.end
	return nil
}

// TestFewObjectsAreReadAtOnce checks that a boundedReader limits concurrent reads.
func TestFewObjectsAreReadAtOnce(t *testing.T) {
	const most = 8
	reader := waitingReader{began: make(chan struct{}), end: make(chan struct{})}
	bounded := newBoundedReader(reader)
	if n := cap(bounded.slots); n > most {
		t.Fatalf("%d objects are read at once, want at most %d", n, most)
	}
	done := make(chan error)
	for range 2 * most {
		go func() { done <- bounded.Get(t.Context(), client.ObjectKey{}, &corev1.Pod{}) }()
	}
	for range most {
		<-reader.began
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bounded.Get(ctx, client.ObjectKey{}, &corev1.Pod{}); err == nil {
		t.Errorf("more than %d objects are read at once", most)
	}
	for range most { // As one ends, the next begins.
		reader.end <- struct{}{}
		<-reader.began
	}
	for range most {
		reader.end <- struct{}{}
	}
	for range 2 * most {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
