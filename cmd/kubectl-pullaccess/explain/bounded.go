// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"time"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// bounded is a cloud that is asked until a moment and not after it, so that an
// unreachable one delays the whole answer by no more than the user allows.
type bounded struct {
	cloud facts.Cloud
	until time.Time
}

var _ facts.Cloud = bounded{}

func (b bounded) NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.NodeAccount(ctx, node)
}

func (b bounded) Repository(ctx context.Context, repository imageref.Repository) diagnosis.Repository {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.Repository(ctx, repository)
}

func (b bounded) Access(ctx context.Context, repository imageref.Repository, member string) diagnosis.Access {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.Access(ctx, repository, member)
}

func (b bounded) ProjectAccess(ctx context.Context, repository imageref.Repository, member string) diagnosis.Access {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.ProjectAccess(ctx, repository, member)
}

func (b bounded) Overall(ctx context.Context, repository imageref.Repository, member string) diagnosis.Overall {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.Overall(ctx, repository, member)
}

func (b bounded) Content(ctx context.Context, image imageref.Image) diagnosis.Content {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	return b.cloud.Content(ctx, image)
}
