// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// refusal is an answer other than success. Each API writes it in a JSON of its own.
type refusal struct {
	http    int
	code    string // google.rpc.Code, or the registry's error code; the usual one for http if empty.
	message string
	// permission and resource are set when IAM refused, for google.rpc.ErrorInfo.
	permission, resource string
	// service is the API that refused; Artifact Registry if empty.
	service string
	// details say more in Google's own error JSON; other APIs leave them out.
	details []any
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

var errUnauthenticated = &refusal{
	http: http.StatusUnauthorized, code: "UNAUTHENTICATED",
	message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
}

func notFound(message string) *refusal {
	return &refusal{http: http.StatusNotFound, code: "NOT_FOUND", message: message}
}

func alreadyExists(message string) *refusal {
	return &refusal{http: http.StatusConflict, code: "ALREADY_EXISTS", message: message}
}

func invalidArgument(message string) *refusal {
	return &refusal{http: http.StatusBadRequest, code: "INVALID_ARGUMENT", message: message}
}

// asRefusal keeps a refusal as it is; any other error is the emulator's own fault.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{http: http.StatusInternalServerError, code: "INTERNAL", message: err.Error()}
}

// rpcCodes are the google.rpc codes that belong to an HTTP status.
var rpcCodes = map[int]string{
	http.StatusBadRequest:         "INVALID_ARGUMENT",
	http.StatusUnauthorized:       "UNAUTHENTICATED",
	http.StatusForbidden:          "PERMISSION_DENIED",
	http.StatusNotFound:           "NOT_FOUND",
	http.StatusConflict:           "ABORTED",
	http.StatusTooManyRequests:    "RESOURCE_EXHAUSTED",
	http.StatusServiceUnavailable: "UNAVAILABLE",
	http.StatusGatewayTimeout:     "DEADLINE_EXCEEDED",
}

// refuseAPI writes the error of Artifact Registry's API, and of all that are as new.
func refuseAPI(w http.ResponseWriter, r *refusal) {
	body := map[string]any{
		"code": r.http, "message": r.message, "status": cmp.Or(r.code, rpcCodes[r.http], "INTERNAL"),
	}
	if r.permission != "" {
		body["details"] = []any{errorInfo("IAM_PERMISSION_DENIED", r.service,
			map[string]string{"permission": r.permission, "resource": r.resource})}
	}
	if len(r.details) > 0 {
		body["details"] = r.details
	}
	writeJSON(w, r.http, map[string]any{"error": body})
}

// errorInfo is a google.rpc.ErrorInfo, the machine's part of an error.
func errorInfo(reason, domain string, metadata map[string]string) map[string]any {
	return map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata,
	}
}

// computeReasons are Compute Engine's words for an HTTP status.
var computeReasons = map[int]string{
	http.StatusBadRequest:         "invalid",
	http.StatusUnauthorized:       "authError",
	http.StatusForbidden:          "forbidden",
	http.StatusNotFound:           "notFound",
	http.StatusTooManyRequests:    "rateLimitExceeded",
	http.StatusServiceUnavailable: "backendError",
}

// refuseCompute writes the error of Compute Engine's API, which has no status.
func refuseCompute(w http.ResponseWriter, r *refusal) {
	reason := cmp.Or(computeReasons[r.http], "internalError")
	writeJSON(w, r.http, map[string]any{"error": map[string]any{
		"code": r.http, "message": r.message,
		"errors": []any{map[string]string{"message": r.message, "domain": "global", "reason": reason}},
	}})
}

// registryCodes are the registry's error codes that belong to an HTTP status.
var registryCodes = map[int]string{
	http.StatusUnauthorized:       "UNAUTHORIZED",
	http.StatusForbidden:          "DENIED",
	http.StatusNotFound:           "NAME_UNKNOWN",
	http.StatusTooManyRequests:    "TOOMANYREQUESTS",
	http.StatusServiceUnavailable: "UNAVAILABLE",
}

// refuseRegistry writes the error of a container registry.
func refuseRegistry(w http.ResponseWriter, r *refusal) {
	code := cmp.Or(r.code, registryCodes[r.http], "UNKNOWN")
	writeJSON(w, r.http, map[string]any{
		"errors": []any{map[string]string{"code": code, "message": r.message}},
	})
}

// refuseText writes the error of the metadata server.
func refuseText(w http.ResponseWriter, r *refusal) { http.Error(w, r.message, r.http) }

func writeJSON(w http.ResponseWriter, status int, body any) {
	writeEncoded(w, status, func() ([]byte, error) { return json.Marshal(body) })
}

// writeAnswer is writeJSON with the enums of a message in the form that r requests.
func writeAnswer(w http.ResponseWriter, r *http.Request, body any) {
	message, ok := body.(proto.Message)
	if !ok {
		writeJSON(w, http.StatusOK, body)
		return
	}
	encoding := protojson.MarshalOptions{UseEnumNumbers: wantsEnumNumbers(r)}
	writeEncoded(w, http.StatusOK, func() ([]byte, error) { return encoding.Marshal(message) })
}

func writeEncoded(w http.ResponseWriter, status int, encode func() ([]byte, error)) {
	data, err := encode()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
