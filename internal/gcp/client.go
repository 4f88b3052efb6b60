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
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
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
	// Cluster is the GKE cluster that is asked for a node's account when Compute
	// Engine does not tell. The zero value is none, and nothing else is asked.
	Cluster diagnosis.Cluster
	// Troubleshoot lets Policy Troubleshooter be asked. It answers only where its
	// API is enabled, and sees only policies that the asking account may see.
	Troubleshoot bool
}

// Client speaks to Google Cloud. It is safe for concurrent use.
type Client struct {
	clock        clock.Clock
	callTimeout  time.Duration
	cluster      diagnosis.Cluster
	troubleshoot bool
	// shared is what several answers rest on.
	shared *shared
	// outages tracks the APIs that do not answer.
	outages *outages
	// lists are the lists of content that are being read.
	lists *semaphore.Weighted

	connect    func() (*apis, error)
	connecting singleflight.Group
	connected  atomic.Pointer[apis]
}

// New checks the options. It reaches for nothing: credentials are looked for at
// the first call, so that an operator without them starts and can say so.
func New(ctx context.Context, o Options) (*Client, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	c := &Client{clock: o.Clock, callTimeout: o.CallTimeout, cluster: o.Cluster, troubleshoot: o.Troubleshoot, lists: semaphore.NewWeighted(maxListsAtOnce)}
	if c.clock == nil {
		c.clock = clock.RealClock{}
	}
	if c.callTimeout <= 0 {
		c.callTimeout = defaultCallTimeout
	}
	c.shared, c.outages = newShared(c.clock), newOutages(c.clock)
	// The connections outlive the call that opens them.
	ctx = context.WithoutCancel(ctx)
	c.connect = func() (*apis, error) { return connect(ctx, endpoint, o.UserAgent, c.callTimeout) }
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

// apis connects at the first call, and at every further one until that works.
func (c *Client) apis(ctx context.Context) (*apis, error) {
	if s := c.connected.Load(); s != nil {
		return s, nil
	}
	// Looking for credentials takes seconds and heeds no context, so it is not waited for longer than asked.
	found := c.connecting.DoChan("", func() (any, error) {
		s, err := c.connect()
		if err != nil {
			return nil, &fault{kind: noCredentials, detail: "no Google credentials were found: " + clean(err.Error())}
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
