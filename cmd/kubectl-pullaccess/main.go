// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-pullaccess tells people why pods cannot pull their images,
// with the same judgement as the operator's, and lets them work with its grants and
// policies. Installed on the PATH it is used as "kubectl pullaccess". approve, deny,
// revoke, pause and resume write to grants and policies; all else writes nothing,
// and nothing is ever written to the cloud.
//
// Package exit has its exit codes.
package main

import (
	"context"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/app"
)

// version is set when the program is built.
var version = "dev"

// Ctrl-C and a closed pipe end the program as they end any other: there is
// nothing to clean up. revoke alone says first what is left.
func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(app.Run(context.Background(), os.Args, version, streams))
}
