// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bytes"
	"strings"
)

// statusTexts are the codes that registries, proxies and what stands between
// them answer with, in net/http's words and in those of others (nginx, Go's mux).
var statusTexts = map[int][]string{
	statusBadRequest:         {"bad request"},
	statusUnauthorized:       {"unauthorized", "authorization required"},
	statusPaymentRequired:    {"payment required"},
	statusForbidden:          {"forbidden"},
	statusNotFound:           {"not found", "page not found"},
	405:                      {"method not allowed"},
	406:                      {"not acceptable"},
	statusProxyAuth:          {"proxy authentication required"},
	408:                      {"request timeout", "request time-out"},
	409:                      {"conflict"},
	statusGone:               {"gone"},
	statusPreconditionFailed: {"precondition failed"},
	413:                      {"request entity too large", "payload too large"},
	415:                      {"unsupported media type"},
	416:                      {"requested range not satisfiable"},
	422:                      {"unprocessable entity"},
	statusTooManyRequests:    {"too many requests"},
	statusLegalReasons:       {"unavailable for legal reasons"},
	500:                      {"internal server error"},
	501:                      {"not implemented"},
	502:                      {"bad gateway"},
	503:                      {"service unavailable", "service temporarily unavailable"},
	504:                      {"gateway timeout", "gateway time-out"},
	507:                      {"insufficient storage"},
}

// The codes that mean a cause of their own. net/http has them too, but this
// package must not be able to reach anything.
const (
	statusBadRequest         = 400
	statusUnauthorized       = 401
	statusPaymentRequired    = 402
	statusForbidden          = 403
	statusNotFound           = 404
	statusProxyAuth          = 407
	statusGone               = 410
	statusPreconditionFailed = 412
	statusTooManyRequests    = 429
	statusLegalReasons       = 451
)

// statusPlaces are the words right before a status code that stands without its text.
var statusPlaces = []string{"statuscode:", "status code:", "status code", "status:", "status", "http", ", http code", "response code:", "responded with", "server returned"}

// scanStatus takes the status code at low[i], if the number there is one: with
// its standard text, or after words or a URL that announce one. Other numbers
// (ports, sizes, tags, digests) are none.
func (s *scanner) scanStatus(i int) {
	low := s.low
	if low[i] != '4' && low[i] != '5' || !digit(low[i+1]) || !digit(low[i+2]) {
		return
	}
	code, end := int(low[i]-'0')*100+int(low[i+1]-'0')*10+int(low[i+2]-'0'), i+3
	n, whole := textLength(low[end:], statusTexts[code])
	if n == 0 && !s.announced(i) {
		return
	}
	end += n
	var marks mark
	switch {
	case !whole:
		marks = unlikely // The text is cut within the status, and may have gone on.
	case !bare(low[end:]):
		marks = explained
	}
	s.take(ofStatus(code), status, marks, i, end)
	s.answer(code, s.serverBefore(i))
}

// textLength gives the length of " Forbidden" or " (Forbidden)" at the start
// of low, and whether it is there to its last letter: low may end within it.
func textLength(low []byte, texts []string) (length int, whole bool) {
	n := 0
	for n < len(low) && n < 4 && (space(low[n]) || low[n] == '(') {
		n++
	}
	if n == 0 || n == len(low) {
		return 0, false
	}
	for _, text := range texts {
		rest := low[n:min(len(low), n+len(text))]
		if string(rest) == text[:len(rest)] {
			return n + len(rest), len(rest) == len(text)
		}
	}
	return 0, false
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
	return len(before) > 0 && before[len(before)-1] == ':' && s.afterName(i)
}

// bare tells whether nothing explains the status before rest: the text, the
// attempt or the quotation ends there. A text that ends with a new line was cut.
func bare(rest []byte) bool {
	rest = bytes.TrimLeft(rest[:min(len(rest), 32)], "). ")
	return len(rest) == 0 || strings.IndexByte(",];\"'", rest[0]) >= 0 ||
		string(rest) == ": errimagepull" || string(rest) == ": imagepullbackoff" // Tools append the reason.
}

// ofStatus is what a status code says where nothing explains it.
func ofStatus(code int) causeSet {
	switch code {
	case statusUnauthorized:
		return unauthenticated
	case statusPaymentRequired: // Nexus, without a licence.
		return policyRejected
	case statusForbidden:
		return permissionDenied
	case statusNotFound, statusGone:
		return imageNotFound
	case statusProxyAuth:
		return network
	case statusPreconditionFailed: // A policy of Harbor, or Container Registry after its end.
		return policyRejected | registryUnavailable | permissionDenied
	case statusTooManyRequests:
		return rateLimited
	case statusLegalReasons:
		return permissionDenied | policyRejected
	case statusBadRequest:
		return invalidReference | imageNotFound | registryUnavailable
	}
	return registryUnavailable
}
