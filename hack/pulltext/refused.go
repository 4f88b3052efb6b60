// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pulltext

import (
	"fmt"
	"net/url"
	"strings"
)

// Refused is what containerd 2 says of an image for which the registry refuses the node's account a token, as
// internal/pullfailure/testdata has it.
func Refused(image string) string {
	host, path, _ := strings.Cut(image, "/")
	path, _, _ = strings.Cut(path, ":")
	query := url.Values{"scope": {"repository:" + path + ":pull"}, "service": {host}}.Encode()
	return fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: failed to authorize: failed to fetch oauth token: "+
		"unexpected status from GET request to https://%s/v2/token?%s: 403 Forbidden", image, host, query)
}

// BackOff is what kubelet says of that image until it pulls again.
func BackOff(image string) string {
	return fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", image, Refused(image))
}
