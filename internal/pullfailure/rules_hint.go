// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// hintRules know words that people use of one kind of trouble, in whatever
// sentence. They count only where nothing is said in known words, and leave open
// what they don't settle.
var hintRules = slices.Concat(
	say(noAccess, weak, 0, "access denied", "forbidden", "unauthorized", "unauthenticated", "authentication", "authenticate", "credentials", "password"),
	say(noAccess|missing, weak, 0, "denied"),
	say(permissionDenied, weak, unlikely, "permission denied"),
	say(imageNotFound, weak, 0, "could not be found", "was not found", "does not exist", "doesn't exist"),
	say(rateLimited, weak, 0, "too many"),
	say(network, weak, 0, "timeout", "timed out", "unreachable", "proxy"),
	say(tls, weak, 0, "certificate", "certificates", "ssl", "handshake"),
	say(registryUnavailable, weak, 0, "unavailable", "maintenance", "overloaded"),
	say(platformMismatch, weak, 0, "architecture", "platform"),
	say(diskPressure, weak, 0, "disk"),
	say(policyRejected, weak, 0, "signature", "signatures", "vulnerability", "vulnerabilities", "policy", "not allowed"),
	say(corruptContent, weak, 0, "corrupt", "corrupted", "checksum", "malformed"),
)
