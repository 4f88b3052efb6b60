#!/bin/sh
# Copyright The pull-access-operator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the real node of `make test-node` needs and no Go module holds: runc and the CNI plugins, by apt.
# It does nothing where both are there already.
set -eu

missing=""
command -v runc >/dev/null 2>&1 || missing="$missing runc"
if [ ! -x /usr/lib/cni/bridge ] && [ ! -x /opt/cni/bin/bridge ]; then
	missing="$missing containernetworking-plugins"
fi
if [ -z "$missing" ]; then
	echo "runc and the CNI plugins are installed already: nothing to do"
	exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
	echo "missing:$missing. This system has no apt-get: install them with its own package manager" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "missing:$missing. Run this script as root to install them" >&2
	exit 1
fi

echo "installing$missing by apt-get"
apt-get update -q
# shellcheck disable=SC2086 # The names are separate words.
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
