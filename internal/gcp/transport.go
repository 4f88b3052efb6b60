// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"syscall"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/compute/metadata"
)

// faultOfTransport judges what went wrong without an answer of the API.
func faultOfTransport(err error) *fault {
	var (
		refused  *auth.Error
		metaCode *metadata.Error
		undefd   metadata.NotDefinedError
		network  *net.OpError
		sent     *url.Error
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &tooLarge):
		return &fault{kind: senseless, uncertain: true, detail: fmt.Sprintf("Google's answer is larger than %d MiB", tooLarge.Limit>>20)}
	case errors.As(err, &refused), errors.As(err, &metaCode), errors.As(err, &undefd):
		return &fault{kind: noCredentials, detail: "no Google access token was given"}
	case errors.As(err, &network) && network.Op == "dial":
		return &fault{kind: unavailable, detail: host(err) + " cannot be reached" + reason(network)}
	case errors.Is(err, context.DeadlineExceeded):
		return &fault{kind: unavailable, uncertain: true, detail: host(err) + " did not answer in time"}
	case errors.Is(err, context.Canceled):
		return &fault{kind: unavailable, uncertain: true, detail: "the call was given up"}
	case errors.As(err, &sent), errors.As(err, &network):
		return &fault{kind: unavailable, uncertain: true, detail: host(err) + " broke off" + reason(err)}
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

// reason is the plain reason of an error, with a colon before it, or nothing. It
// is the same at every try: errors of the network tell the port that was ours, and
// each new sentence is told to people again.
func reason(err error) string {
	var (
		lookUp  *net.DNSError
		code    syscall.Errno
		expired x509.CertificateInvalidError
		named   x509.HostnameError
		timeout net.Error
	)
	switch {
	case errors.As(err, &lookUp) && lookUp.IsNotFound:
		return ": no such host"
	case errors.As(err, &lookUp):
		return ": its name cannot be looked up"
	case errors.As(err, &code):
		return ": " + code.Error()
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return ": its certificate has expired or is not yet valid"
	case errors.As(err, &named):
		return ": its certificate is for another name"
	case errors.As(err, &timeout) && timeout.Timeout():
		return ": no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ": the connection was closed"
	}
	if text := clean(innermost(err).Error()); text != "" && !changing.MatchString(text) {
		return ": " + text
	}
	return ""
}

// changing finds numbers that stand alone. Addresses, ports, times and the like
// have some, and no text that is always the same needs any.
var changing = regexp.MustCompile(`\b[0-9]+\b`)

func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
