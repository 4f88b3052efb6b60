// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Lister lists objects without holding them all, because users decide how large each one
// is.
type Lister interface {
	// Each lists as client.Reader does, and passes each object to visit as soon as it is
	// decoded. It stores only the list's metadata in list. It returns the size of the
	// response, in bytes.
	Each(ctx context.Context, list client.ObjectList, visit func(client.Object) error, options ...client.ListOption) (int64, error)
}

const (
	// firstPage, smallestPage and largestPage are numbers of objects in a page.
	firstPage, smallestPage, largestPage = 100, 5, 500
	// The next page has more objects after a page below smallBytes, and fewer after one
	// above largeBytes, because the API server holds a whole page.
	smallBytes, largeBytes = 1 << 20, 4 << 20
)

// PageSize is the number of objects in the next page of a list. The zero value is the size
// of the first page.
type PageSize int64

// Limit returns the limit for the next page.
func (p PageSize) Limit() int64 {
	if p == 0 {
		return firstPage
	}
	return int64(p)
}

// After returns the size of the page that follows a page of this many bytes, or a page
// that failed with err: it may have been too large.
func (p PageSize) After(bytes int64, err error) PageSize {
	switch size := p.Limit(); {
	case err != nil, bytes > largeBytes:
		return PageSize(max(size/4, smallestPage))
	case bytes < smallBytes:
		return PageSize(min(size*2, largestPage))
	default:
		return p
	}
}
