// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	accessTokenLife   = time.Hour
	registryTokenLife = 12 * time.Hour
)

// identity is who sent a request.
type identity struct {
	email  string   // Empty: nobody that is known.
	scopes []string // OAuth scopes of the token.
	// registry is true for a token of the registry. An anonymous token has no email.
	registry bool
	// invalid is set when a credential was sent that is none of the emulator's.
	invalid bool
}

// credential is what a token stands for.
type credential struct {
	identity
	expires time.Time
}

// storageScope tells whether the token may read images at all, whatever IAM says.
func (who identity) storageScope() bool {
	return slices.ContainsFunc(who.scopes, func(scope string) bool {
		switch strings.TrimPrefix(scope, scopePrefix) {
		case "cloud-platform", "cloud-platform.read-only",
			"devstorage.read_only", "devstorage.read_write", "devstorage.full_control":
			return true
		}
		return false
	})
}

// Token mints an access token of an account, or of a person, with the scope
// cloud-platform. It lapses after an hour, and with the emulator.
func (e *Emulator) Token(email string) string {
	return e.state.mint(e.state.tokens, identity{email: email, scopes: []string{scopeCloudPlatform}}, accessTokenLife)
}

// mint makes a token in one of the state's two maps.
func (s *state) mint(tokens map[string]credential, who identity, life time.Duration) string {
	token := "emulated." + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens[token] = credential{identity: who, expires: s.clock.Now().Add(life)}
	return token
}

// identify reads the credential of a request: an access token or one of the
// registry's as bearer, or an access token as the password of Basic.
func (s *state) identify(r *http.Request) identity {
	header := r.Header.Get("Authorization")
	if header == "" {
		return identity{}
	}
	token := header
	if user, password, basic := r.BasicAuth(); basic {
		if user != "oauth2accesstoken" && user != "_token" && user != "_dcgcloud_token" {
			return identity{invalid: true}
		}
		token = password
	} else if scheme, bearer, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = bearer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tokens := range []map[string]credential{s.tokens, s.registryTokens} {
		if holder, ok := tokens[token]; ok && s.clock.Now().Before(holder.expires) {
			return holder.identity
		}
	}
	return identity{invalid: true}
}
