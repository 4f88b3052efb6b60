// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// liveReadsAtOnce limits concurrent reads of single objects from the API server, because
// each object may have up to 1.5 MB.
const liveReadsAtOnce = 8

// boundedReader reads at most as many objects at once as it has slots.
type boundedReader struct {
	client.Reader
	slots chan struct{}
}

func newBoundedReader(reader client.Reader) boundedReader {
	return boundedReader{Reader: reader, slots: make(chan struct{}, liveReadsAtOnce)}
}

// Get implements client.Reader.
func (r boundedReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return r.Reader.Get(ctx, key, object, options...)
}
