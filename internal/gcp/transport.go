// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"net"
	"net/url"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/compute/metadata"
)

// faultOfTransport judges what went wrong without an answer of the API.
func faultOfTransport(err error) *fault {
	var (
		refused  *auth.Error
		metaCode *metadata.Error
		undefd   metadata.NotDefinedError
		dial     *net.OpError
		sent     *url.Error
	)
	switch {
	case errors.As(err, &refused), errors.As(err, &metaCode), errors.As(err, &undefd):
		return &fault{kind: noCredentials, detail: "no Google access token was given"}
	case errors.As(err, &dial) && dial.Op == "dial":
		return &fault{kind: unavailable, detail: host(err) + " cannot be reached: " + clean(dial.Err.Error())}
	case errors.Is(err, context.DeadlineExceeded):
		return &fault{kind: unavailable, uncertain: true, detail: host(err) + " did not answer in time"}
	case errors.Is(err, context.Canceled):
		return &fault{kind: unavailable, uncertain: true, detail: "the call was given up"}
	case errors.As(err, &sent):
		return &fault{kind: unavailable, uncertain: true, detail: host(err) + " broke off: " + clean(sent.Err.Error())}
	default:
		return &fault{kind: senseless, uncertain: true, detail: "Google's answer makes no sense"}
	}
}

// host is the one that was asked, "Google" if the error does not tell.
func host(err error) string {
	var sent *url.Error
	if errors.As(err, &sent) {
		if u, err := url.Parse(sent.URL); err == nil && u.Host != "" {
			return clean(u.Host)
		}
	}
	return "Google"
}
