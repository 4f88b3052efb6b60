// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// transportRules know the errors of Go's net and net/http, which every
// runtime passes on as they are, and their likes in other languages.
var transportRules = slices.Concat(
	say(network, transport, 0, "dial tcp", "dial udp", "read tcp", "write tcp", "read udp", "write udp", "proxyconnect tcp", "socks connect"),
	say(network, transport, 0, "connection refused", "connection reset by peer", "connection timed out", "operation timed out", "i/o timeout", "no route to host",
		"network is unreachable", "network is down", "host is down", "host unreachable", "host is unreachable", "connection was forcibly closed", "broken pipe", "cannot assign requested address", "use of closed network connection"),
	say(network, transport, 0, "no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known", "could not resolve host"),
	say(network, transport, 0, "timeout awaiting response headers", "while awaiting headers", "while waiting for connection", "while reading body",
		"server closed idle connection", "transport connection broken", "server sent goaway", "http2: client connection", "stream error", "received from peer"),
	say(network, beyond, 0, "tls handshake timeout"), // No answer came: no quarrel about TLS.
	say(network, transport, 0, "proxy authentication required"),
	// A refusal of CONNECT is the bare status text, without its number.
	sayAt(afterURL, network, sentence, 0, "forbidden", "bad gateway", "gateway timeout", "service unavailable"),
	sayInPlace(network, word, 0, "eof"),
	say(network, word, 0, "unexpected eof", "short read"),
	say(network, word, 0, "expected http 206 from byte range request"), // docker resumes a download that was cut.
	say(network, word, 0, "head * context deadline exceeded", "get * context deadline exceeded", "post * context deadline exceeded"),
)

// tlsRules know the errors of crypto/tls and crypto/x509, and of their likes.
var tlsRules = slices.Concat(
	sayInPlace(tls, transport, 0, "x509", "tls"),
	say(tls, transport, 0, "failed to verify certificate", "certificate signed by unknown authority", "certificate has expired", "certificate is valid for",
		"certificate relies on legacy", "certificate verify failed", "self signed certificate", "self-signed certificate", "ssl certificate problem", "load x509 key pair",
		"unable to get local issuer certificate"),
	say(tls, beyond, 0, "server gave http response to https client", "sent an http request to an https server", "malformed http response"),
)

// cancelRules know the ends of a pull that nobody refused.
var cancelRules = slices.Concat(
	say(cancelled, word, 0, "context canceled", "context deadline exceeded", "request canceled", "operation was canceled", "was cancelled", "pull cancelled",
		"because of no progress", "image pull progress", "signal: killed", "signal: terminated"),
	// The runtime itself was stopped.
	say(cancelled, beyond, 0, "error reading from server: eof", "transport is closing", "dial unix", "is the docker daemon running",
		"inspect image * rpc error: code = deadlineexceeded"),
)
