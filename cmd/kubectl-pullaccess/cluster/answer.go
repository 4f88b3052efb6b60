// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

// Missing tells a wrong name, which is the caller's doing, from a cluster that
// does not answer.
func Missing(err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return Unreached(err)
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
