// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
)

// unlistedEnum is the number of a name without a known number, such as a value that Google
// added later.
const unlistedEnum = 99

// formatNumbers and modeNumbers are the numbers of the API's enums. The Go client lacks the
// modes of Google's own repositories.
var (
	formatNumbers = artifactregistrypb.Repository_Format_value
	modeNumbers   = map[string]int32{
		"STANDARD_REPOSITORY": 1, "VIRTUAL_REPOSITORY": 2, "REMOTE_REPOSITORY": 3, "AOSS_REPOSITORY": 4, "ASSURED_OSS_REPOSITORY": 5,
	}
)

func enumNumber(numbers map[string]int32, name string) int32 {
	if number, ok := numbers[name]; ok {
		return number
	}
	return unlistedEnum
}

// wantsEnumNumbers reports whether the client requests $alt=json;enum-encoding=int, as
// Google's newer clients do. Go's own parser drops a parameter with a semicolon in it.
func wantsEnumNumbers(r *http.Request) bool {
	for parameter := range strings.SplitSeq(r.URL.RawQuery, "&") {
		switch plain, _ := url.QueryUnescape(parameter); plain {
		case "$alt=json;enum-encoding=int", "alt=json;enum-encoding=int":
			return true
		}
	}
	return false
}
