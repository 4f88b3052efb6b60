// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"net/http"
	"strconv"
)

// paged answers the part of a list that pageSize and pageToken ask for, all of it
// where they ask for nothing. A token is the place where the next page begins.
func paged[T any](r *http.Request, key string, items []T) (any, error) {
	query := r.URL.Query()
	size, err := strconv.Atoi(cmp.Or(query.Get("pageSize"), "0"))
	if err != nil || size < 0 {
		return nil, invalidArgument("Invalid page size.")
	}
	from, err := strconv.Atoi(cmp.Or(query.Get("pageToken"), "0"))
	if err != nil || from < 0 || from > len(items) {
		return nil, invalidArgument("Invalid page token.")
	}
	answer := map[string]any{}
	rest := items[from:]
	if size > 0 && size < len(rest) {
		rest = rest[:size]
		answer["nextPageToken"] = strconv.Itoa(from + size)
	}
	if len(rest) > 0 {
		answer[key] = rest
	}
	return answer, nil
}

// findNamed is the item of that name.
func findNamed[T any](items []T, name string, nameOf func(T) string) (any, error) {
	for _, item := range items {
		if nameOf(item) == name {
			return item, nil
		}
	}
	return nil, notFound("Requested entity was not found.")
}
