// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"

	"google.golang.org/api/iterator"
)

// lister is what all of Google's list calls return.
type lister[T any] interface {
	Next() (T, error)
	PageInfo() *iterator.PageInfo
}

// listed waits for a list no longer than ctx allows. Google's REST client hands the
// context of a list call to none of its requests, so one that hangs would not end
// with it; what comes after that is dropped.
func listed[T any](ctx context.Context, list func() ([]T, error)) ([]T, error) {
	type outcome struct {
		all []T
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		all, err := list()
		done <- outcome{all, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-done:
		return o.all, o.err
	}
}

// each visits all that a list call gives, page by page.
func each[T any](list lister[T], visit func(T)) error {
	return eachWhile(list, func(item T) bool {
		visit(item)
		return true
	})
}

// eachOfFirstPage visits what one list call gives, and makes no second one.
func eachOfFirstPage[T any](list lister[T], visit func(T)) error {
	return eachWhile(list, func(item T) bool {
		visit(item)
		return list.PageInfo().Remaining() > 0
	})
}

// eachWhile visits what a list call gives until visit wants no more.
func eachWhile[T any](list lister[T], visit func(T) (more bool)) error {
	for {
		item, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return err
		}
		if !visit(item) {
			return nil
		}
	}
}
