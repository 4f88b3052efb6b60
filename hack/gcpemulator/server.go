// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"strings"
)

// endpoint is what one request asks for.
type endpoint struct {
	method, resource string // As in Request.
	serve            func(w http.ResponseWriter, r *http.Request, who identity)
	refuse           func(w http.ResponseWriter, r *refusal)
}

// routes maps paths to endpoints. Repository names end in ":getIamPolicy" and
// the like, which the endpoint itself takes apart.
func (e *Emulator) routes() http.Handler {
	const location = "/projects/{project}/locations/{location}"
	const repository = location + "/repositories/{repository}"
	mux := http.NewServeMux()
	handle := func(method, path string, locate func(*http.Request) endpoint) {
		mux.Handle(strings.TrimSpace(method+" "+path), e.dispatch(locate))
	}
	for _, version := range []string{"/v1", "/v1beta2"} { // gcloud lists by the latter.
		handle(http.MethodGet, version+"/projects/{project}/locations", e.locationsEndpoint)
		handle(http.MethodGet, version+location+"/repositories", e.repositoriesEndpoint)
		handle(http.MethodPost, version+location+"/repositories", e.repositoriesEndpoint)
		handle(http.MethodGet, version+repository, e.repositoryEndpoint)
		handle(http.MethodPost, version+repository, e.repositoryEndpoint)
		handle(http.MethodGet, version+repository+"/packages", e.packagesEndpoint)
		handle(http.MethodGet, version+repository+"/packages/{package}", e.packageEndpoint)
		handle(http.MethodGet, version+repository+"/packages/{package}/versions", e.versionsEndpoint)
		handle(http.MethodGet, version+repository+"/packages/{package}/versions/{version}", e.versionEndpoint)
		handle(http.MethodGet, version+repository+"/packages/{package}/tags", e.tagsEndpoint)
		handle(http.MethodGet, version+repository+"/packages/{package}/tags/{tag}", e.tagEndpoint)
		handle(http.MethodGet, version+repository+"/dockerImages", e.dockerImagesEndpoint)
		handle(http.MethodGet, version+repository+"/dockerImages/{image}", e.dockerImageEndpoint)
		handle(http.MethodGet, version+location+"/operations/{operation}", e.operationEndpoint)
	}
	e.routeOthers(handle)
	handle("", "/v2/token", e.tokenEndpoint)
	handle("", "/v2/", e.registryEndpoint)
	handle("", "/", unknownEndpoint)
	return mux
}

// routeOthers maps the paths of the APIs around Artifact Registry. They share one
// address: no two of them have a path in common but operations.
func (e *Emulator) routeOthers(handle func(method, path string, locate func(*http.Request) endpoint)) {
	const project, cluster = "/projects/{project}", "/v1/projects/{project}/locations/{location}/clusters/{cluster}"
	handle(http.MethodGet, "/compute/v1"+project+"/zones/{zone}/instances/{instance}", e.instanceEndpoint)
	for _, version := range []string{"/v1", "/v3"} { // gcloud asks by the former.
		handle(http.MethodGet, version+project, e.projectEndpoint)
		handle(http.MethodPost, version+project, e.projectEndpoint)
	}
	handle(http.MethodGet, "/v1"+project+"/billingInfo", e.billingEndpoint)
	handle(http.MethodGet, "/v1"+project+"/services/{service}", e.serviceEndpoint)
	handle(http.MethodPost, "/v1"+project+"/services/{service}", e.serviceEndpoint)
	handle(http.MethodGet, "/v1"+project+"/serviceAccounts/{account}", e.accountEndpoint)
	handle(http.MethodGet, "/v1"+project+"/roles/{role}", e.roleEndpoint)
	handle(http.MethodGet, "/v1/organizations/{organization}/roles/{role}", e.roleEndpoint)
	handle(http.MethodGet, "/v1/roles/{role}", e.roleEndpoint)
	handle(http.MethodGet, cluster, e.clusterEndpoint)
	handle(http.MethodPost, cluster+"/nodePools", e.poolsEndpoint)
	handle(http.MethodGet, cluster+"/nodePools/{pool}", e.poolEndpoint)
	handle(http.MethodPost, "/v3/iam:troubleshoot", e.troubleshootEndpoint)
	handle(http.MethodPost, "/v2/entries:list", e.logsEndpoint)
}

// dispatch records each request, then plays the fault that waits for it or serves it.
func (e *Emulator) dispatch(locate func(*http.Request) endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		point, who := locate(r), e.state.identify(r)
		answered := e.requests.open(Request{
			Method: point.method, Resource: point.resource,
			Reason: r.Header.Get("X-Goog-Request-Reason"), Caller: who.email,
		})
		watched := &statusWriter{ResponseWriter: w, answered: answered}
		if fault, hit := e.faults.take(point.method, point.resource); hit {
			e.play(fault, point, watched, r, who)
			return
		}
		point.serve(watched, r, who)
	})
}

// rpc is one method of an API: it returns what to send as JSON, or a refusal.
type rpc func(who identity, name string, r *http.Request) (any, error)

// api makes an endpoint of a method of Artifact Registry's API, which a blocked
// project answers none of, nor a location that does not exist.
func (e *Emulator) api(method, resource string, call rpc) endpoint {
	return rpcEndpoint(method, resource, func(who identity, name string, r *http.Request) (any, error) {
		if refused := e.state.blockedAt(name); refused != nil {
			return nil, refused
		}
		if !isLocated(name) {
			return nil, invalidArgument("Request contains an invalid argument.")
		}
		return call(who, name, r)
	}, refuseAPI)
}

func rpcEndpoint(method, resource string, call rpc, refuse func(http.ResponseWriter, *refusal)) endpoint {
	return endpoint{
		method: method, resource: resource, refuse: refuse,
		serve: func(w http.ResponseWriter, r *http.Request, who identity) {
			if who.invalid || who.registry {
				refuse(w, errUnauthenticated)
				return
			}
			answer, err := call(who, resource, r)
			if err != nil {
				refuse(w, asRefusal(err))
				return
			}
			writeAnswer(w, r, answer)
		},
	}
}

func unknownEndpoint(r *http.Request) endpoint {
	return rpcEndpoint("unknown", r.URL.Path, func(identity, string, *http.Request) (any, error) {
		return nil, notFound("The requested URL was not found on this server.")
	}, refuseAPI)
}

// statusWriter tells which status was answered.
type statusWriter struct {
	http.ResponseWriter
	answered func(status int)
	wrote    bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = true
		w.answered(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(data []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
