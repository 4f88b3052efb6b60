// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command credentialprovider gives kubelet the node account's own token for Google's registries, as GKE's provider does.
// kubelet runs it before each pull, with a request on standard input.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	apiVersion = "credentialprovider.kubelet.k8s.io/v1"
	tokenPath  = "/computeMetadata/v1/instance/service-accounts/default/token"
	// user is what Google's registries want to be told beside an access token.
	user = "oauth2accesstoken"
	// timeout is shorter than kubelet's patience, so that our own sentence is what gets into its log.
	timeout = 10 * time.Second
	// maxBody bounds what is read from anybody.
	maxBody = 1 << 20
)

// request is kubelet's CredentialProviderRequest, as far as it is needed here.
type request struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Image      string `json:"image"`
}

// response is kubelet's CredentialProviderResponse.
type response struct {
	APIVersion    string                `json:"apiVersion"`
	Kind          string                `json:"kind"`
	CacheKeyType  string                `json:"cacheKeyType"`
	CacheDuration string                `json:"cacheDuration"`
	Auth          map[string]credential `json:"auth"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() { os.Exit(run()) }

func run() int {
	metadataURL := flag.String("metadata-url", "http://metadata.google.internal", "the metadata server of this node")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := provide(ctx, os.Stdin, os.Stdout, *metadataURL); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// provide answers one request. It writes nothing unless it has a credential.
func provide(ctx context.Context, in io.Reader, out io.Writer, metadataURL string) error {
	var req request
	if err := json.NewDecoder(io.LimitReader(in, maxBody)).Decode(&req); err != nil {
		return fmt.Errorf("read kubelet's request: %w", err)
	}
	if req.APIVersion != apiVersion || req.Kind != "CredentialProviderRequest" {
		return fmt.Errorf("read kubelet's request: %q of %q is not known here", req.Kind, req.APIVersion)
	}
	if req.Image == "" {
		return fmt.Errorf("read kubelet's request: it names no image")
	}
	token, err := nodeToken(ctx, metadataURL)
	if err != nil {
		return fmt.Errorf("ask the metadata server for the node account's token: %w", err)
	}
	auth := make(map[string]credential)
	host, _, _ := strings.Cut(req.Image, "/")
	for _, pattern := range []string{"gcr.io", "*.gcr.io", "*.pkg.dev", host} {
		auth[pattern] = credential{Username: user, Password: token}
	}
	// Not cached, so that a pull after a change of account is asked for anew.
	answer := response{
		APIVersion: apiVersion, Kind: "CredentialProviderResponse", CacheKeyType: "Image", CacheDuration: "0s", Auth: auth,
	}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// nodeToken returns the access token of the account that the node runs as. Its errors never quote the server's answer.
func nodeToken(ctx context.Context, metadataURL string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(metadataURL, "/")+tokenPath, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers %s", res.Status)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&token); err != nil {
		return "", fmt.Errorf("its answer is no JSON object")
	}
	if token.AccessToken == "" {
		return "", fmt.Errorf("its answer holds no access_token")
	}
	return token.AccessToken, nil
}
