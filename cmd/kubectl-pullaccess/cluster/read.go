// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
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

// Refused tells whether the cluster answered, though not what it was asked for.
func Refused(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// Unreached marks err as the cluster's doing, and says so where the cluster does not.
func Unreached(err error) error {
	if err == nil || Refused(err) {
		return exit.Unreached(err)
	}
	return exit.Unreached(fmt.Errorf("the cluster gives no answer: %w", ofServer(err)))
}

// ofServer names the server of a request that failed, and not all that was asked of it.
func ofServer(err error) error {
	var request *url.Error
	if !errors.As(err, &request) {
		return err
	}
	asked, parseErr := url.Parse(request.URL)
	if parseErr != nil {
		return request.Err
	}
	return fmt.Errorf("%s://%s: %w", asked.Scheme, asked.Host, request.Err)
}
