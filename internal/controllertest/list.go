// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Lister lists in pages, which the fake client does not. A list shows what was there when
// its first page was read. It implements workload.Lister and client.Reader.
type Lister struct {
	client.Reader
	// Size is the number of objects in a page. Bytes is the size that Each reports of one.
	Size  int
	Bytes int64
	// Fail is called before each page with its number, from 1; its error is the page's.
	Fail func(page int) error
	// Kinds are the kinds whose lists were begun, Limits the limits of all pages.
	Kinds  []string
	Limits []int64
	// Pages is the number of pages.
	Pages int

	snapshots map[string]client.ObjectList
}

// NewLister returns a lister of what the reader reads, with the largest pages that the
// operator asks for.
func NewLister(reader client.Reader) *Lister {
	return &Lister{Reader: reader, Size: 500, snapshots: map[string]client.ObjectList{}}
}

// Each implements workload.Lister.
func (l *Lister) Each(ctx context.Context, list client.ObjectList, visit func(client.Object) error, options ...client.ListOption) (int64, error) {
	if err := l.List(ctx, list, options...); err != nil {
		return 0, err
	}
	return l.Bytes, meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", item)
		}
		return visit(object)
	})
}

// List implements client.Reader.
func (l *Lister) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	l.Pages++
	if l.Fail != nil {
		if err := l.Fail(l.Pages); err != nil {
			return err
		}
	}
	o := (&client.ListOptions{}).ApplyOptions(options)
	l.Limits = append(l.Limits, o.Limit)
	kind, from := strings.TrimSuffix(kindOf(list), "List"), 0
	if o.Continue == "" {
		if err := l.begin(ctx, kind, list, o); err != nil {
			return err
		}
	} else {
		var err error
		if from, err = strconv.Atoi(o.Continue); err != nil {
			return apierrors.NewBadRequest("invalid continue token")
		}
	}
	items, err := meta.ExtractList(l.snapshots[kind])
	if err != nil {
		return err
	}
	until := min(from+l.Size, len(items))
	if until < len(items) {
		list.SetContinue(strconv.Itoa(until))
	}
	return meta.SetList(list, items[from:until])
}

// begin reads all objects of the kind.
func (l *Lister) begin(ctx context.Context, kind string, list client.ObjectList, options *client.ListOptions) error {
	l.Kinds = append(l.Kinds, kind)
	whole, ok := list.DeepCopyObject().(client.ObjectList)
	if !ok {
		return fmt.Errorf("%T is no list", list)
	}
	selected := *options
	selected.Limit = 0
	if err := l.Reader.List(ctx, whole, &selected); err != nil {
		return err
	}
	l.snapshots[kind] = whole
	return nil
}
