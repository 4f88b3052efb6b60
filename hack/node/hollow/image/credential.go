// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	tokenPath = "/computeMetadata/v1/instance/service-accounts/default/token"
	// tokenUser is the user under which Google's registries take an access token as the password.
	tokenUser    = "oauth2accesstoken"
	tokenTimeout = 10 * time.Second
)

// Credentials gives the node's credential for the registries that it is meant for.
type Credentials struct {
	// MetadataURL is the node's metadata server; empty means that the node has no credential and pulls anonymously.
	MetadataURL string
}

// lookup returns user and password for a registry host, both empty if the node has none for it.
func (c Credentials) lookup(ctx context.Context, host string) (user, password string, err error) {
	if c.MetadataURL == "" || !isGoogleRegistry(host) {
		return "", "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.MetadataURL, "/")+tokenPath, nil)
	if err != nil {
		return "", "", fmt.Errorf("ask the metadata server for a token: %w", err)
	}
	request.Header.Set("Metadata-Flavor", "Google")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", "", fmt.Errorf("ask the metadata server for a token: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("ask the metadata server for a token: it answered %s", response.Status)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		return "", "", fmt.Errorf("ask the metadata server for a token: %w", err)
	}
	return tokenUser, token.AccessToken, nil
}

// isGoogleRegistry tells the hosts that GKE's kubelet asks its credential provider for.
func isGoogleRegistry(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, ".pkg.dev")
}
