// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"encoding/json"
	"io"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds a request's body; a policy is some tens of kilobytes.
const maxBody = 1 << 20

// decode reads a request's body.
func decode(r *http.Request, into proto.Message) error {
	return decodeWith(r, func(body []byte) error { return protojson.Unmarshal(body, into) })
}

// decodeJSON is decode for messages that are plain structs.
func decodeJSON(r *http.Request, into any) error {
	return decodeWith(r, func(body []byte) error { return json.Unmarshal(body, into) })
}

func decodeWith(r *http.Request, parse func([]byte) error) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return invalidArgument("The request's body cannot be read.")
	}
	if err := parse(body); err != nil {
		return invalidArgument("Invalid JSON payload received.")
	}
	return nil
}
