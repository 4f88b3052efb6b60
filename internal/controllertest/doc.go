// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllertest is the environment in which the controllers are tested
// without a cluster: an API server and a Google Cloud in memory, a clock that tests
// set, and a recorder that keeps Events.
//
// Only tests import it. It imports no controller. What depends on a real API server
// (server-side apply, validation, admission, RBAC) is not tested here.
package controllertest
