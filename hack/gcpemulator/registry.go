// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// pull is one request to the registry: /v2/PATH/KIND/REFERENCE on HOST.
type pull struct {
	host, path string
	kind       string // "ping", "manifest", "blob", "tags" or "unknown".
	reference  string // Tag or digest.
}

// registryHost is the registry that a client means: containerd names it in the
// query when it was told to ask a mirror, all others by the Host header.
func registryHost(r *http.Request) string {
	if namespace := r.URL.Query().Get("ns"); namespace != "" {
		return namespace
	}
	return r.Host
}

func parsePull(r *http.Request) pull {
	p := pull{host: registryHost(r), kind: "ping"}
	rest := strings.Trim(strings.TrimPrefix(r.URL.Path, "/v2"), "/")
	if rest == "" {
		return p
	}
	segments := strings.Split(rest, "/")
	p.path, p.kind = rest, "unknown"
	if len(segments) < 3 {
		return p
	}
	last := len(segments) - 1
	kinds := map[string]string{"manifests": "manifest", "blobs": "blob", "tags": "tags"}
	if kind, ok := kinds[segments[last-1]]; ok && (kind != "tags" || segments[last] == "list") {
		p.path, p.kind, p.reference = strings.Join(segments[:last-1], "/"), kind, segments[last]
	}
	return p
}

// resource names what is asked for, as it stands in Request.
func (p pull) resource() string {
	switch {
	case p.kind == "ping":
		return p.host
	case p.kind == "tags" || p.reference == "":
		return p.host + "/" + p.path
	case strings.Contains(p.reference, ":"):
		return p.host + "/" + p.path + "@" + p.reference
	}
	return p.host + "/" + p.path + ":" + p.reference
}

func (e *Emulator) registryEndpoint(r *http.Request) endpoint {
	p := parsePull(r)
	return endpoint{
		method: p.kind, resource: p.resource(), refuse: refuseRegistry,
		serve: func(w http.ResponseWriter, r *http.Request, who identity) {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			e.servePull(w, r, who, p)
		},
	}
}

func (e *Emulator) servePull(w http.ResponseWriter, r *http.Request, who identity, p pull) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseRegistry(w, &refusal{http: http.StatusMethodNotAllowed, code: "UNSUPPORTED", message: "The emulated registry is read-only."})
		return
	}
	if p.kind == "ping" {
		e.ping(w, who, p)
		return
	}
	image, err := imageref.Parse(p.host + "/" + p.path)
	if err != nil {
		refuseRegistry(w, nameInvalid(p.path, err))
		return
	}
	if fault, ok := e.faults.imageFault(image.Registry + "/" + image.Path); ok {
		e.playImage(w, r, who, p, fault)
		return
	}
	stored := storedPath(r, image, p)
	anonymous := !who.registry && who.email == ""
	if image.Google() && anonymous || !image.Google() && !e.images.has(r, stored) {
		e.challenge(w, p.host, "not authenticated: No valid credential was supplied.")
		return
	}
	if image.Google() {
		if refused := e.judgePull(image, who); refused != nil {
			refuseRegistry(w, refused)
			return
		}
		if p.kind != "tags" && !e.images.has(r, stored) {
			refuseRegistry(w, missing(p))
			return
		}
	}
	e.serveStored(w, r, image, p)
}

// serveStored serves from the store, judging nobody.
func (e *Emulator) serveStored(w http.ResponseWriter, r *http.Request, image imageref.Image, p pull) {
	inside := r.Clone(r.Context())
	inside.URL.Path = storedPath(r, image, p)
	e.images.handler.ServeHTTP(w, inside)
}

func storedPath(r *http.Request, image imageref.Image, p pull) string {
	return "/v2/" + storedName(image) + strings.TrimPrefix(r.URL.Path, "/v2/"+p.path)
}

func (e *Emulator) ping(w http.ResponseWriter, who identity, p pull) {
	if who.invalid || !who.registry && who.email == "" {
		e.challenge(w, p.host, "not authenticated: No credential was supplied.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{})
}

// challenge sends the client to the token endpoint.
func (e *Emulator) challenge(w http.ResponseWriter, host, message string) {
	w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/v2/token",service="%s"`, e.url, host))
	refuseRegistry(w, &refusal{http: http.StatusUnauthorized, message: message})
}

// judgePull decides one pull, at the token endpoint and again at each request:
// a token of the registry's says who asks, and for what, not that it may.
func (e *Emulator) judgePull(image imageref.Image, who identity) *refusal {
	if refused := e.state.blocked(image.Repository.Project); refused != nil {
		return refused
	}
	repository := image.Repository.ResourceName()
	granted := e.state.mayPull(who, repository)
	if who.registry && !slices.Contains(who.paths, image.Registry+"/"+image.Path) {
		granted = false
	}
	if !granted {
		return denied(image, who)
	}
	if r, ok := e.state.repository(repository); !ok || r.Format != "DOCKER" {
		return &refusal{http: http.StatusNotFound, message: fmt.Sprintf("Repository %q not found", image.Repository.Name)}
	}
	return nil
}

// denied is the refusal of a caller without the permission, or of nobody.
func denied(image imageref.Image, who identity) *refusal {
	format := "Permission %q denied on resource %q (or it may not exist)"
	if who.email == "" {
		format = "Unauthenticated request. Unauthenticated requests do not have permission %q on resource %q (or it may not exist)"
	}
	message := fmt.Sprintf(format, permissionDownload, image.Repository.ResourceName())
	return &refusal{http: http.StatusForbidden, message: message}
}

func missing(p pull) *refusal {
	code := "MANIFEST_UNKNOWN"
	if p.kind == "blob" {
		code = "BLOB_UNKNOWN"
	}
	return &refusal{http: http.StatusNotFound, code: code, message: fmt.Sprintf("Failed to fetch %q", p.reference)}
}

func nameInvalid(path string, err error) *refusal {
	message := "invalid repository name"
	if errors.Is(err, imageref.ErrPath) {
		message = fmt.Sprintf("invalid number of path components: %d", len(strings.Split(path, "/")))
	}
	return &refusal{http: http.StatusBadRequest, code: "NAME_INVALID", message: message}
}
