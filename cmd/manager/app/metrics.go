// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/tls"
	"net/http"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// metricsOptions returns options that serve /metrics over HTTPS. A request needs a valid bearer token (else 401) whose
// user may get /metrics (else 403). The API server authenticates and authorizes, and a rate limit stands before it (429).
// With --metrics-secure=false, the operator serves plain HTTP without authentication.
func metricsOptions(o Options) metricsserver.Options {
	options := metricsserver.Options{BindAddress: o.MetricsAddress}
	if !o.MetricsSecure {
		return options
	}
	options.SecureServing = true
	options.FilterProvider = filterMetrics(clock.RealClock{})
	// A scrape needs no HTTP/2, and with HTTP/2 a client could open many streams before the operator
	// authenticates it.
	options.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	return options
}

// metricsRate and metricsBurst bound the requests in a second. A scraper makes one in many seconds.
const (
	metricsRate  = 10
	metricsBurst = 20
)

// filterMetrics limits requests, and lets the API server authenticate and authorize the others: a request with an unknown
// token costs the API server a TokenReview and the log a line, and anybody who reaches the port can make up tokens.
func filterMetrics(c clock.PassiveClock) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
		authorize, err := filters.WithAuthenticationAndAuthorization(config, client)
		if err != nil {
			return nil, err
		}
		return func(log logr.Logger, handler http.Handler) (http.Handler, error) {
			authorized, err := authorize(log, handler)
			if err != nil {
				return nil, err
			}
			return limitRequests(c, authorized), nil
		}, nil
	}
}

// limitRequests answers 429 to requests beyond metricsRate. All clients share the limit.
func limitRequests(c clock.PassiveClock, next http.Handler) http.Handler {
	limiter := rate.NewLimiter(metricsRate, metricsBurst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limiter.AllowN(c.Now(), 1) {
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
