// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// pull is one request to the registry: /v2/PATH/KIND/REFERENCE on HOST.
type pull struct {
	asked      string // The registry's name in the request.
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

func (e *Emulator) parsePull(r *http.Request) pull {
	asked := registryHost(r)
	p := pull{asked: asked, host: asked, kind: "ping"}
	rest := strings.Trim(strings.TrimPrefix(r.URL.Path, "/v2"), "/")
	if rest == "" {
		return p
	}
	segments := strings.Split(rest, "/")
	p.path, p.kind = rest, "unknown"
	if last := len(segments) - 1; last >= 2 {
		kinds := map[string]string{"manifests": "manifest", "blobs": "blob", "tags": "tags"}
		if kind, ok := kinds[segments[last-1]]; ok && (kind != "tags" || segments[last] == "list") {
			p.path, p.kind, p.reference = strings.Join(segments[:last-1], "/"), kind, segments[last]
		}
	}
	p.host = e.registryOf(asked, p.path)
	return p
}

// registryOf returns the registry that serves a path. The emulator's own address names no
// location, so it then returns the registry that has the repository.
func (e *Emulator) registryOf(asked, path string) string {
	if name, port, _ := net.SplitHostPort(asked); name != "127.0.0.1" && name != "localhost" || !strings.HasSuffix(e.url, ":"+port) {
		return asked
	}
	found := e.state.registriesOf(path)
	if len(found) != 1 {
		return asked
	}
	return found[0]
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
	p := e.parsePull(r)
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
		if authenticated(w, r, who, p) {
			writeJSON(w, http.StatusOK, map[string]string{})
		}
		return
	}
	image, err := parseImage(p.host + "/" + p.path)
	if err != nil {
		refuseRegistry(w, nameInvalid(p.path, err))
		return
	}
	if fault, ok := e.faults.imageFault(image.Registry + "/" + image.Path); ok {
		e.playImage(w, r, who, p, fault)
		return
	}
	stored := storedPath(r, image, p)
	if !image.Google() && !e.images.has(r, stored) {
		challenge(w, r, p)
		return
	}
	if image.Google() {
		if !authenticated(w, r, who, p) {
			return
		}
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

// authenticated answers a request without a valid credential itself. Nobody in
// particular, with an anonymous token of the registry's, counts as valid.
func authenticated(w http.ResponseWriter, r *http.Request, who identity, p pull) bool {
	switch {
	case who.invalid:
		// Omit the challenge, because the client already knows the token endpoint.
		refuseRegistry(w, &refusal{http: http.StatusUnauthorized, message: "No valid credential was supplied."})
		return false
	case !who.registry && who.email == "":
		challenge(w, r, p)
		return false
	}
	return true
}

// challenge directs the client to the token endpoint of the requested host, with the scheme
// of the request. The challenge of a ping has no service and scope.
func challenge(w http.ResponseWriter, r *http.Request, p pull) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	parameters, message := fmt.Sprintf("Bearer realm=%q", scheme+"://"+r.Host+"/v2/token"), "not authenticated: No credential was supplied."
	if p.kind != "ping" {
		parameters += fmt.Sprintf(",service=%q,scope=%q", p.asked, "repository:"+p.scope()+":pull")
		message = "not authenticated: No valid credential was supplied."
	}
	w.Header().Set("Www-Authenticate", parameters)
	refuseRegistry(w, &refusal{http: http.StatusUnauthorized, message: message})
}

// forgotten replaces the image's name if a path only has a repository, as in
// HOST/PROJECT/REPOSITORY:TAG.
const forgotten = "/pkg"

// scope returns the path that the token must cover.
func (p pull) scope() string {
	if image, err := parseImage(p.host + "/" + p.path); err == nil && image.Google() {
		return image.Path
	}
	return p.path
}

// parseImage is imageref.Parse of a path that may lack the image's name.
func parseImage(path string) (imageref.Image, error) {
	image, err := imageref.Parse(path)
	if errors.Is(err, imageref.ErrPath) || err == nil && image.Google() && image.Package == "" {
		if completed, err := imageref.Parse(path + forgotten); err == nil {
			return completed, nil
		}
	}
	return image, err
}

// judgePull decides one pull, at the token endpoint and again at each request. A token of
// the registry identifies the caller only.
func (e *Emulator) judgePull(image imageref.Image, who identity) *refusal {
	if refused := e.state.blocked(image.Repository.Project); refused != nil {
		return refused
	}
	repository := image.Repository.ResourceName()
	if !e.state.mayPull(who, repository) {
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
