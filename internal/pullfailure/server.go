// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bytes"
	"net/netip"
	"strings"
)

// A server is who was asked for the image, as the text names it.
type server struct {
	host string
	// content: it was asked for a manifest or blob.
	content bool
	// token: it was asked for a token.
	token bool
}

// serverBefore is who was asked for what low[i] tells of, where the text names
// it: in the URL right before, or as containerd 1.6 does.
func (s *scanner) serverBefore(i int) server {
	if s.afterName(i) {
		if _, rest, ok := strings.Cut(s.text[s.urlStart():s.nameEnd], "://"); ok {
			host, path, _ := strings.Cut(rest, "/")
			content := strings.Contains(path, "/manifests/") || strings.Contains(path, "/blobs/")
			return server{host: host, content: content, token: !content && (strings.Contains(path, "token") || strings.Contains(path, "auth"))}
		}
	}
	const intro = "pulling from host "
	from := max(0, i-512)
	if at := bytes.LastIndex(s.low[from:i], []byte(intro)); at >= 0 {
		host, _, _ := strings.Cut(s.text[from+at+len(intro):i], " ")
		return server{host: host, content: true}
	}
	return server{}
}

// urlStart is where the URL begins that the last name is, or the end of: the
// brackets of an IPv6 address are no part of a name.
func (s *scanner) urlStart() int {
	const longest = len("https://[") + len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%eth0")
	if s.nameStart == 0 || s.low[s.nameStart-1] != ']' {
		return s.nameStart
	}
	from := max(0, s.nameStart-1-longest)
	if at := bytes.LastIndex(s.low[from:s.nameStart], []byte("://[")); at >= 0 {
		return from + at
	}
	return s.nameStart
}

// mirrors tells whether the server is not the image's own registry, but one that
// a node is told to ask in its place, or that the registry sends the node to.
func (r server) mirrors(image string) bool {
	own, _, ok := strings.Cut(image, "/")
	if !ok || !r.content || r.host == "" {
		return false
	}
	if !strings.ContainsAny(own, ".:") || own == "index.docker.io" {
		own = "docker.io" // The kubelet completes what has no host.
	}
	return !strings.EqualFold(r.host, own) && !(own == "docker.io" && r.host == "registry-1.docker.io")
}

// standsIn tells whether answered is the node's own loopback, asked in the name of
// host: what runs there (a local registry, a proxy of the platform team's) passes
// on the answer of host. The runtime names host in the query of each request.
func standsIn(answered, host, text string) bool {
	at, err := netip.ParseAddrPort(answered)
	if err != nil || !at.Addr().IsLoopback() {
		return false
	}
	for _, query := range []string{"service=" + host, "ns=" + host} {
		_, rest, ok := strings.Cut(strings.ToLower(text), query)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], `&: "`)) {
			return true
		}
	}
	return false
}

// ownAnswer gives what the image's own registry came to, where containers/image
// lists first what became of its mirrors; otherwise the whole text.
func ownAnswer(text string) string {
	const intro, outro = "(Mirrors also failed:", "]):"
	start := strings.Index(text, intro)
	if start < 0 {
		return text
	}
	end := strings.Index(text[start:], outro)
	if end < 0 {
		return text
	}
	return text[start+end+len(outro):]
}
