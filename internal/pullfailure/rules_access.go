// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// cloudRules know what Google Cloud writes in a refusal. They outrank the
// code and the status that it comes with: all of them are a 403.
var cloudRules = slices.Concat(
	say(permissionDenied, sentence, sent|iam, "permission * denied on resource", "permission * denied for resource", "permission * denied"),
	say(noAccess, word, pulls, "artifactregistry.repositories.downloadartifacts"), // The rest is cut off.
	say(noAccess, word, 0, "or it may not exist"),
	say(permissionDenied, sentence, sent|unlikely, "permission denied for", "caller does not have permission"), // gcr.io's own, on storage permissions
	say(unauthenticated, transport, notSent, "unauthenticated request", "unauthenticated requests", "anonymous caller does not have", "anonymous users"),
	say(vpcServiceControls, transport, 0, "request is prohibited", "prohibited by organization", "vpcservicecontrolsuniqueidentifier", "security_policy_violated"),
	say(apiDisabled, transport, 0, "has not been used in project", "service_disabled", "api is disabled", "api is not enabled", "not enabled for consumer", "to enable the google container registry api",
		"to enable the artifact registry api"),
	say(apiDisabled, transport, 0, "requires billing to be enabled", "billing_disabled", "billing account for the owning project is disabled",
		"accountproblem"), // The last is Cloud Storage's, of unpaid bills.
	say(apiDisabled, transport, 0, "consumer_suspended", "consumer_invalid", "project * has been suspended", "project * has been deleted"),
	// gcr.io, which did not tell one from the other.
	say(noAccess, sentence, unlikely, "have the needed permissions to perform this operation, and you may have invalid credentials"),
)

// credentialRules know the refusals of a credential that is none, or no good,
// and the node's own failures to get one.
var credentialRules = slices.Concat(
	say(unauthenticated, sentence, pulls|notSent, "no basic auth credentials", "no credential was supplied"),
	say(unauthenticated, word, notSent, "no auth credentials", "anonymous pull", "missing username or secret"),
	say(unauthenticated, weak, notSent, "no credentials"), // Old kubelets guess so of every failure.
	say(unauthenticated, sentence, sent, "invalid_token", "incorrect username or password", "token has expired", "token expired", "access token is expired",
		"does not match bearer token", "unable to parse json key", "security token included in the request"), // The last is Amazon's.
	say(unauthenticated, sentence, 0, "no valid credential was supplied", "invalid authentication credentials", "http basic: access denied", "cannot be authenticated",
		"not login yet"),
	say(unauthenticated, sentence, pulls, "authorization header"),
	sayInPlace(unauthenticated, sentence, 0, "unauthenticated"),
	say(unauthenticated, word, 0, "authentication required", "authentication is required", "authentication failed", "authorization failed", "authorization required",
		"not authenticated", "must be authenticated", "failed to authenticate", "login required", "please login", "please log in", "not logged in", "not authorized.",
		"invalid username/password", "invalid username or password", "password is invalid", "invalid credentials", "bad credentials", "bad_credential",
		"wrong credentials", "credentials are invalid", "credentials are expired", "invalid token", "token is expired", "token has been revoked", "invalid api key", "could not find robot"),

	say(credentialProvider, node, pulls, "credential provider", "credentialproviderrequest", "credential helper", "getting credentials", "failed to get credentials",
		"failed to provide credentials", "google-dockercfg", "docker-credential-*", "ecr-credential-provider", "acr-credential-provider", "auth-provider-gcp", "gce metadata",
		"could not find default credentials", "failed to refresh token", "failed to parse auth", "illegal base64 data"),
	say(credentialProvider, node, 0, "compute metadata", "service account not enabled"),
)

// refusalRules know the refusals of an identity in other registries' words.
var refusalRules = slices.Concat(
	say(permissionDenied, sentence, sent|explained, "insufficient scope", "insufficient scopes", "does not match expected scopes", "is not authorized to perform"),
	say(permissionDenied, sentence, explained, "unauthorized to access repository"), // Harbor
	say(permissionDenied, word, explained, "access forbidden", "accessdenied", "permission_denied", "is forbidden", "access is denied", "no permission",
		"insufficient permission", "insufficient permissions", "insufficient privileges", "does not have permission", "do not have permission", "have access",
		"not permitted", "not authorized to access", "not authorized to pull", "is not authorized"),
	sayInPlace(permissionDenied, word, explained, "forbidden"),
	say(permissionDenied, sentence, unlikely|explained, "is not allowed access"), // Azure's firewall: whoever it is, from that address.
)
