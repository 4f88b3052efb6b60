// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bytes"
	"net/http"
	"strings"
)

// statusTexts are http.StatusText of the error codes, in lower case.
var statusTexts = func() (texts [600]string) {
	for code := 400; code < len(texts); code++ {
		texts[code] = strings.ToLower(http.StatusText(code))
	}
	return texts
}()

// otherText is what nginx and Go's mux say instead.
func otherText(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "authorization required"
	case http.StatusNotFound:
		return "page not found"
	case http.StatusServiceUnavailable:
		return "service temporarily unavailable"
	case http.StatusGatewayTimeout:
		return "gateway time-out"
	}
	return ""
}

// statusPlaces are the words right before a status code that stands without its text.
var statusPlaces = []string{"statuscode:", "status code:", "status code", "status:", "status", "http", "response code:", "responded with"}

// scanStatus takes the status code at low[i], if the number there is one: with
// its standard text, or after words or a URL that announce one. Other numbers
// (ports, sizes, tags, digests) are none.
func (s *scanner) scanStatus(i int) {
	low := s.low
	if low[i] != '4' && low[i] != '5' || !digit(low[i+1]) || !digit(low[i+2]) {
		return
	}
	code, end := int(low[i]-'0')*100+int(low[i+1]-'0')*10+int(low[i+2]-'0'), i+3
	n := textLength(low[end:], statusTexts[code])
	if n == 0 {
		n = textLength(low[end:], otherText(code))
	}
	if n == 0 && !s.announced(i) {
		return
	}
	end += n
	var marks mark
	switch {
	case n == 0 || class[low[end-1]]&wordByte != 0 && end == len(low) && !complete(low[i:end], code):
		marks = unlikely // The text is cut within the status, and may have gone on.
	case !bare(low[end:]):
		marks = explained
	}
	s.take(ofStatus(code), status, marks, i, end)
	s.answer(code, s.hostBefore(i))
}

// textLength gives the length of " Forbidden" or " (Forbidden)" at the start
// of low, also where low ends within it; 0 if it is not there.
func textLength(low []byte, text string) int {
	n := 0
	for n < len(low) && n < 4 && (space(low[n]) || low[n] == '(') {
		n++
	}
	rest := low[n:min(len(low), n+len(text))]
	if n == 0 || len(rest) == 0 || string(rest) != text[:len(rest)] {
		return 0
	}
	return n + len(rest)
}

// announced tells whether what stands before low[i] announces a status code.
func (s *scanner) announced(i int) bool {
	before := bytes.TrimRight(s.low[max(0, i-64):i], " \n")
	for _, place := range statusPlaces {
		if bytes.HasSuffix(before, []byte(place)) {
			return true
		}
	}
	// "unexpected status from GET request to URL: 403", cut there or with another text.
	return len(before) > 0 && before[len(before)-1] == ':' && s.nameEnd > 0 && i-s.nameEnd < 8
}

// complete tells whether the status is there to its last letter.
func complete(low []byte, code int) bool {
	return bytes.HasSuffix(low, []byte(statusTexts[code]))
}

// bare tells whether nothing explains the status before rest: the text, the
// attempt or the quotation ends there. A text that ends with a new line was cut.
func bare(rest []byte) bool {
	rest = bytes.TrimLeft(rest[:min(len(rest), 32)], "). ")
	return len(rest) == 0 || strings.IndexByte(",];\"'", rest[0]) >= 0 ||
		string(rest) == ": errimagepull" || string(rest) == ": imagepullbackoff" // Tools append the reason.
}

// hostBefore is the host that answered with the status at low[i], where the
// text names it: in the URL right before, or as containerd 1.6 does.
func (s *scanner) hostBefore(i int) string {
	if s.nameEnd > 0 && i-s.nameEnd < 8 {
		if _, rest, ok := strings.Cut(s.text[s.nameStart:s.nameEnd], "://"); ok {
			host, _, _ := strings.Cut(rest, "/")
			return host
		}
	}
	const intro = "pulling from host "
	from := max(0, i-512)
	if at := bytes.LastIndex(s.low[from:i], []byte(intro)); at >= 0 {
		host, _, _ := strings.Cut(s.text[from+at+len(intro):i], " ")
		return host
	}
	return ""
}

// ofStatus is what a status code says where nothing explains it.
func ofStatus(code int) causeSet {
	switch code {
	case http.StatusUnauthorized:
		return unauthenticated
	case http.StatusPaymentRequired: // Nexus, without a licence.
		return policyRejected
	case http.StatusForbidden:
		return permissionDenied
	case http.StatusNotFound, http.StatusGone:
		return imageNotFound
	case http.StatusProxyAuthRequired:
		return network
	case http.StatusPreconditionFailed: // A policy of Harbor, or Container Registry after its end.
		return policyRejected | registryUnavailable | permissionDenied
	case http.StatusTooManyRequests:
		return rateLimited
	case http.StatusUnavailableForLegalReasons:
		return permissionDenied | policyRejected
	case http.StatusBadRequest:
		return invalidReference | imageNotFound | registryUnavailable
	}
	return registryUnavailable
}
