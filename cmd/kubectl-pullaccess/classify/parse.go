// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package classify

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// errMessage is about an object that is not a text.
var errMessage = errors.New(`the object has no "message"; give {"message": TEXT} and optionally "image" and "reason"`)

// given is a JSON string that can be told from none; null counts as empty, as
// jq writes it for what is not there.
type given struct {
	text  string
	there bool
}

func (g *given) UnmarshalJSON(data []byte) error {
	g.there = true
	return json.Unmarshal(data, &g.text)
}

// parse reads one line: a JSON object, a JSON string or plain text. Only a line
// that begins as an object must be one: no runtime's text begins so.
func parse(line []byte) (pullfailure.Text, error) {
	switch line[0] {
	case '"':
		var message string
		if json.Unmarshal(line, &message) == nil {
			return pullfailure.Text{Message: message}, nil
		}
	case '{':
		return parseObject(line)
	}
	return pullfailure.Text{Message: string(line)}, nil
}

func parseObject(line []byte) (pullfailure.Text, error) {
	var object struct {
		Message given  `json:"message"`
		Image   string `json:"image"`
		Reason  string `json:"reason"`
	}
	err := json.Unmarshal(line, &object)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return pullfailure.Text{}, fmt.Errorf("%q is a JSON %s, want a string", wrongType.Field, wrongType.Value)
	case err != nil:
		return pullfailure.Text{}, fmt.Errorf("the line begins like a JSON object and is none (%w); write each object in one line, with jq: -c", err)
	case !object.Message.there:
		return pullfailure.Text{}, errMessage
	}
	return pullfailure.Text{Message: object.Message.text, Image: object.Image, Reason: object.Reason}, nil
}
