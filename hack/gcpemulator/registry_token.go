// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// tokenEndpoint is where the challenge sends clients: GET /v2/token?service=HOST&scope=repository:PATH:pull.
func (e *Emulator) tokenEndpoint(r *http.Request) endpoint {
	host, paths := tokenScope(r)
	resource := host
	if len(paths) > 0 {
		resource = strings.Join(paths, " ")
	}
	return endpoint{
		method: "token", resource: resource, refuse: refuseRegistry,
		serve: func(w http.ResponseWriter, r *http.Request, who identity) {
			if r.Method != http.MethodGet {
				// The OAuth2 form of the token request does not exist at Artifact Registry.
				refuseRegistry(w, &refusal{http: http.StatusNotFound, message: "The requested URL was not found on this server."})
				return
			}
			e.serveRegistryToken(w, r, who, paths)
		},
	}
}

// tokenScope reads the registry and the HOST/PATHs that a token is asked for.
func tokenScope(r *http.Request) (host string, paths []string) {
	query := r.URL.Query()
	if host = query.Get("service"); host == "" {
		host = registryHost(r)
	}
	for _, scopes := range query["scope"] {
		for scope := range strings.FieldsSeq(scopes) {
			path, ok := strings.CutPrefix(scope, "repository:")
			if end := strings.LastIndex(path, ":"); ok && end > 0 {
				paths = append(paths, host+"/"+path[:end])
			}
		}
	}
	return host, paths
}

func (e *Emulator) serveRegistryToken(w http.ResponseWriter, r *http.Request, who identity, paths []string) {
	fault, faulty := e.faults.imageFault(paths...)
	if faulty && e.playToken(w, r, who, fault) {
		return
	}
	if who.invalid {
		refuseRegistry(w, &refusal{http: http.StatusUnauthorized, message: "authentication failed"})
		return
	}
	if len(paths) == 0 && who.email == "" {
		refuseRegistry(w, &refusal{http: http.StatusUnauthorized, message: "not authenticated: No credential was supplied."})
		return
	}
	for _, path := range paths {
		if refused := e.judgeScope(who, path); refused != nil && !faulty {
			refuseRegistry(w, refused)
			return
		}
	}
	holder := identity{email: who.email, scopes: who.scopes, registry: true, paths: paths}
	token := e.state.mint(e.state.registryTokens, holder, registryTokenLife)
	writeJSON(w, http.StatusOK, map[string]any{
		"token": token, "access_token": token, "expires_in": int(registryTokenLife / time.Second),
	})
}

func (e *Emulator) judgeScope(who identity, path string) *refusal {
	image, err := imageref.Parse(path)
	if err != nil {
		_, name, _ := strings.Cut(path, "/")
		return nameInvalid(name, err)
	}
	if !image.Google() {
		return &refusal{http: http.StatusForbidden, message: "requested access to the resource is denied"}
	}
	return e.judgePull(image, who)
}
