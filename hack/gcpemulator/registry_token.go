// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// tokenEndpoint is where the challenge sends clients: GET /v2/token?service=HOST&scope=repository:PATH:pull.
func (e *Emulator) tokenEndpoint(r *http.Request) endpoint {
	host, paths := e.tokenScope(r)
	resource := host
	if len(paths) > 0 {
		resource = strings.Join(paths, " ")
	}
	return endpoint{
		method: "token", resource: resource, refuse: refuseRegistry,
		serve: func(w http.ResponseWriter, r *http.Request, who identity) {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			if r.Method != http.MethodGet {
				// Artifact Registry has no OAuth2 form of the token request.
				w.Header().Set("Allow", http.MethodGet)
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			e.serveRegistryToken(w, r, who, paths)
		},
	}
}

// tokenScope reads the registry and the HOST/PATHs that a token is asked for.
func (e *Emulator) tokenScope(r *http.Request) (host string, paths []string) {
	query := r.URL.Query()
	host = cmp.Or(query.Get("ns"), query.Get("service"), r.Host)
	for _, scopes := range query["scope"] {
		for scope := range strings.FieldsSeq(scopes) {
			path, ok := strings.CutPrefix(scope, "repository:")
			if end := strings.LastIndex(path, ":"); ok && end > 0 {
				paths = append(paths, e.registryOf(host, path[:end])+"/"+path[:end])
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
	for _, path := range paths {
		if refused := e.judgeScope(who, path); refused != nil && !faulty {
			refuseRegistry(w, refused)
			return
		}
	}
	holder := identity{email: who.email, scopes: who.scopes, registry: true}
	token := e.state.mint(e.state.registryTokens, holder, registryTokenLife)
	writeJSON(w, http.StatusOK, map[string]any{"token": token, "expires_in": int(registryTokenLife / time.Second)})
}

func (e *Emulator) judgeScope(who identity, path string) *refusal {
	image, err := parseImage(path)
	if err != nil {
		_, name, _ := strings.Cut(path, "/")
		return nameInvalid(name, err)
	}
	if !image.Google() {
		return &refusal{http: http.StatusForbidden, message: "requested access to the resource is denied"}
	}
	return e.judgePull(image, who)
}
