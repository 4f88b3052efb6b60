// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PageSize is how many objects the API server is asked for at a time.
const PageSize = 500

// Each reads a list page by page, so that no answer is large. A list that takes
// so long that the API server forgets where it was is read again in one piece;
// visit must bear to see an object twice.
func Each[L client.ObjectList](ctx context.Context, reader client.Reader, options client.ListOptions, empty func() L, visit func(L)) error {
	options.Limit = PageSize
	for {
		page := empty()
		err := reader.List(ctx, page, &options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			options.Limit, options.Continue = 0, ""
			continue
		}
		if err != nil {
			return err
		}
		visit(page)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}
