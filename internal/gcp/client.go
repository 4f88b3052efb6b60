// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gcp is the far side of every cloud port, and the only importer of
// Google's clients.
//
// It reads facts for the diagnosis and edits the policy of a repository. It
// decides nothing: what can't be read is said to be unknown, and a policy is sent
// only if iampolicy.Verify finds no other difference than the one meant. Codes of
// Google's end here; those above see diagnosis.Obstacle and iampolicy's errors.
package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"golang.org/x/sync/singleflight"
	"google.golang.org/api/compute/v1"
	"google.golang.org/api/option"
	"k8s.io/utils/clock"
)

// defaultCallTimeout bounds one call; a read-modify-write makes several.
const defaultCallTimeout = 10 * time.Second

// Options say which cloud a Client talks to.
type Options struct {
	// Endpoint is where every Google API is found, by plain HTTP and without
	// credentials. Empty means Google's own, with Application Default Credentials.
	Endpoint string
	// UserAgent names the program to Google.
	UserAgent string
	// Clock tells the time and makes waits; nil is the real one.
	Clock clock.Clock
	// CallTimeout bounds each call; 0 is ten seconds.
	CallTimeout time.Duration
}

// Client speaks to Google Cloud. It is safe for concurrent use.
type Client struct {
	clock       clock.Clock
	callTimeout time.Duration

	connect    func() (*apis, error)
	connecting singleflight.Group
	connected  atomic.Pointer[apis]
}

// apis are Google's clients; they hold credentials and connections.
type apis struct {
	artifacts *artifactregistry.Client
	instances *compute.InstancesService
}

// New checks the options. It reaches for nothing: credentials are looked for at
// the first call, so that an operator without them starts and can say so.
func New(ctx context.Context, o Options) (*Client, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	c := &Client{clock: o.Clock, callTimeout: o.CallTimeout}
	if c.clock == nil {
		c.clock = clock.RealClock{}
	}
	if c.callTimeout <= 0 {
		c.callTimeout = defaultCallTimeout
	}
	// The connections outlive the call that opens them.
	ctx = context.WithoutCancel(ctx)
	c.connect = func() (*apis, error) { return connect(ctx, endpoint, o.UserAgent) }
	return c, nil
}

var errEndpoint = errors.New("it must be a URL such as http://127.0.0.1:8085")

func parseEndpoint(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", errEndpoint // Its own text would show a password.
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q: %w", u.Redacted(), errEndpoint)
	}
	return strings.TrimRight(endpoint, "/"), nil
}

func connect(ctx context.Context, endpoint, userAgent string) (*apis, error) {
	common := []option.ClientOption{option.WithUserAgent(userAgent), option.WithTelemetryDisabled()}
	var forArtifacts []option.ClientOption
	forInstances := []option.ClientOption{option.WithScopes(compute.ComputeReadonlyScope)}
	if endpoint != "" {
		common = append(common, option.WithoutAuthentication())
		forArtifacts = []option.ClientOption{option.WithEndpoint(endpoint)}
		forInstances = []option.ClientOption{option.WithEndpoint(endpoint + "/compute/v1/")}
	}
	artifacts, err := artifactregistry.NewRESTClient(ctx, slices.Concat(common, forArtifacts)...)
	if err != nil {
		return nil, err
	}
	service, err := compute.NewService(ctx, slices.Concat(common, forInstances)...)
	if err != nil {
		return nil, errors.Join(err, artifacts.Close())
	}
	return &apis{artifacts: artifacts, instances: service.Instances}, nil
}

// apis connects at the first call, and at every further one until that works.
func (c *Client) apis(ctx context.Context) (*apis, error) {
	if s := c.connected.Load(); s != nil {
		return s, nil
	}
	// Looking for credentials takes seconds and heeds no context, so it is not waited for longer than asked.
	found := c.connecting.DoChan("", func() (any, error) {
		s, err := c.connect()
		if err != nil {
			return nil, &fault{kind: noCredentials, detail: "the operator finds no Google credentials: " + clean(err.Error())}
		}
		c.connected.Store(s)
		return s, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-found:
		if result.Err != nil {
			return nil, result.Err
		}
		return c.connected.Load(), nil
	}
}

// call gives one call its own time-out, and makes a fault of what goes wrong;
// nil means that nothing did.
func (c *Client) call(ctx context.Context, do func(context.Context, *apis) error) *fault {
	ctx, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	s, err := c.apis(ctx)
	if err == nil {
		err = do(ctx, s)
	}
	if err == nil {
		return nil
	}
	return c.faultOf(err)
}
