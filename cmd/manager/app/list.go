// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// lister lists objects and decodes one at a time, so that a list takes no more memory than
// its largest object. A client would hold the whole response and all decoded objects.
type lister struct {
	config *rest.Config
	http   *http.Client
	scheme *runtime.Scheme
	mapper meta.RESTMapper
}

// Each implements workload.Lister.
func (l lister) Each(ctx context.Context, list client.ObjectList, visit func(client.Object) error, options ...client.ListOption) (int64, error) {
	kind, err := apiutil.GVKForObject(list, l.scheme)
	if err != nil {
		return 0, err
	}
	kind.Kind = strings.TrimSuffix(kind.Kind, "List")
	o := (&client.ListOptions{}).ApplyOptions(options)
	read, found, err := l.each(ctx, request{kind: kind, namespace: o.Namespace, options: *o.AsListOptions()}, visit)
	if err != nil {
		return read, err
	}
	list.SetResourceVersion(found.ResourceVersion)
	list.SetContinue(found.Continue)
	list.SetRemainingItemCount(found.RemainingItemCount)
	return read, nil
}

// request describes one list call.
type request struct {
	kind      schema.GroupVersionKind
	namespace string
	options   metav1.ListOptions
	// metadata requests only the objects' metadata.
	metadata bool
}

func (l lister) each(ctx context.Context, r request, visit func(client.Object) error) (int64, metav1.ListMeta, error) {
	mapping, err := l.mapper.RESTMapping(r.kind.GroupKind(), r.kind.Version)
	if err != nil {
		return 0, metav1.ListMeta{}, err
	}
	api, err := apiutil.RESTClientForGVK(r.kind, true, false, l.config, serializer.NewCodecFactory(l.scheme), l.http)
	if err != nil {
		return 0, metav1.ListMeta{}, err
	}
	accept, empty := runtime.ContentTypeJSON, func() (client.Object, error) { return l.empty(r.kind) }
	if r.metadata {
		accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
		empty = func() (client.Object, error) {
			object := &metav1.PartialObjectMetadata{}
			object.SetGroupVersionKind(r.kind)
			return object, nil
		}
	}
	body, err := api.Get().NamespaceIfScoped(r.namespace, r.namespace != "").Resource(mapping.Resource.Resource).
		VersionedParams(&r.options, runtime.NewParameterCodec(l.scheme)).SetHeader("Accept", accept).Stream(ctx)
	if err != nil {
		return 0, metav1.ListMeta{}, err
	}
	defer body.Close()
	counted := &counter{Reader: body}
	found, err := decodeList(counted, empty, visit)
	if err != nil {
		err = fmt.Errorf("read the list of %s: %w", mapping.Resource.Resource, err)
	}
	return counted.read, found, err
}

func (l lister) empty(kind schema.GroupVersionKind) (client.Object, error) {
	made, err := l.scheme.New(kind)
	if err != nil {
		return nil, err
	}
	object, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not a client.Object", made)
	}
	return object, nil
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	read int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

var errNoList = errors.New("the response is not a list")

// decodeList decodes the JSON of a list and passes each item to visit. It returns an error
// for a truncated list.
func decodeList(from io.Reader, empty func() (client.Object, error), visit func(client.Object) error) (metav1.ListMeta, error) {
	var found metav1.ListMeta
	decoder := json.NewDecoder(from)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return found, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return found, err
		}
		switch key {
		case "metadata":
			err = decoder.Decode(&found)
		case "items":
			err = decodeItems(decoder, empty, visit)
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return found, err
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return found, err
	}
	if found.ResourceVersion == "" {
		return found, errNoList
	}
	return found, nil
}

func decodeItems(decoder *json.Decoder, empty func() (client.Object, error), visit func(client.Object) error) error {
	token, err := decoder.Token()
	switch {
	case err != nil:
		return err
	case token == nil:
		return nil // An empty list.
	case token != json.Delim('['):
		return errNoList
	}
	for decoder.More() {
		object, err := empty()
		if err != nil {
			return err
		}
		if err := decoder.Decode(object); err != nil {
			return err
		}
		if err := visit(object); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim(']'))
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return errNoList
	}
	return nil
}
