#!/bin/sh
# Copyright The pull-access-operator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Measures on clusters of healthy pods, one after the other, what popeye, kubectl and this project cost: hack/bench/peers.md
# says how to read it. It builds all of them from their Go modules; nothing is downloaded that is not Go source.
#
#   hack/bench/peers.sh [PODS...]      default: 0 5000 50000
#
# RUNS=3 is how often each command is run; the middle one counts. POPEYE=path measures a popeye that is built already.
# COMMAND='name arguments' measures one more command, which finds the cluster by KUBECONFIG. It needs Linux, /usr/bin/time
# and jq.
set -eu

popeye_version=v0.22.1
runs=${RUNS:-3}
rest=60

for program in /usr/bin/time jq go; do
	command -v "$program" >/dev/null || { echo "peers.sh: $program is not installed: install it and call again" >&2; exit 1; }
done
case $runs in '' | *[!0-9]* | 0) echo "peers.sh: RUNS: \"$runs\" is not a number above 0, such as 3" >&2; exit 2 ;; esac
for pods in "$@"; do
	case $pods in '' | *[!0-9]*) echo "peers.sh: PODS: \"$pods\" is not a number, such as 5000" >&2; exit 2 ;; esac
done
[ $# -gt 0 ] || set -- 0 5000 50000

cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
holder='' operator=''
end() { # PID: ends a program of this script, if it was started.
	[ -z "$1" ] || { kill -TERM "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }
}
trap 'end "$operator"; end "$holder"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

build_popeye() { # A module of its own: its checksums are those of Go's checksum database.
	mkdir "$dir/module"
	printf 'module peers\n\ngo 1.26\n\nrequire github.com/derailed/popeye %s\n' "$popeye_version" >"$dir/module/go.mod"
	(cd "$dir/module" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -p 1 -o "$dir/popeye" github.com/derailed/popeye)
	popeye=$dir/popeye
}

hold() { # PODS: starts a cluster of so many healthy pods, and waits until it is there.
	"$dir/bench" quiet -hold -pods "$1" >"$dir/held" &
	holder=$!
	until grep -q 'Ctrl-C' "$dir/held"; do
		kill -0 "$holder" 2>/dev/null || { echo "peers.sh: the cluster did not start" >&2; exit 1; }
		sleep 1
	done
	sed -n 1p "$dir/held" >&2
	eval "$(grep '^export ' "$dir/held")"
	audit=$(sed -n 's/^# its requests are in the audit log: //p' "$dir/held")
	command=$(sed -n 's/^# the operator: //p' "$dir/held")
	google=${command##*--gcp-endpoint=}
}

requests() { # USER FROM [TO]: what the user asked for in that time, by verb.
	sleep 1
	jq -rn --arg user "$1" --arg from "$2" --arg to "${3:-9}" '
		[inputs | select(.user.username == $user and .requestReceivedTimestamp >= $from and .requestReceivedTimestamp < $to) | .verb]
		| group_by(.) | map("\(length) \(.[0])") | if . == [] then "none" else join(", ") end' "$audit"
}

now() { date -u +%FT%T.%6NZ; }
middle() { sort -n | sed -n "$((runs / 2 + 1))p"; }
row() { printf '| %s | %s | %s | %s | %s | %s |\n' "$@"; }

once() { # PODS NAME COMMAND...: the middle of its runs.
	size=$1 name=$2
	shift 2
	: >"$dir/times"
	for _ in $(seq "$runs"); do
		from=$(now)
		status=0
		HOME=$dir /usr/bin/time -q -a -o "$dir/times" -f '%e %U %S %M' "$@" >"$dir/output" 2>"$dir/errors" || status=$?
		# With 1 and an output such a program says that it found something.
		[ "$status" -eq 0 ] || { [ "$status" -eq 1 ] && [ -s "$dir/output" ]; } || { cat "$dir/errors" >&2; exit 1; }
	done
	row "$size" "$name" "$(awk '{print $1}' "$dir/times" | middle) s" "$(awk '{print $2 + $3}' "$dir/times" | middle) s" \
		"$(awk '{printf "%.0f\n", $4 / 1024}' "$dir/times" | middle) MiB" "$(requests guest "$from")"
}

ticks() { awk '{print $14 + $15}' "/proc/$operator/stat"; }

resident() { # PODS: the operator, from its start and then for a minute at rest.
	user=system:serviceaccount:pull-access-system:pull-access-operator
	from=$(now)
	# shellcheck disable=SC2086 # The command's words are separate.
	$command --metrics-bind-address=127.0.0.1:0 --health-probe-bind-address=127.0.0.1:0 >"$dir/operator.log" 2>&1 &
	operator=$!
	sleep 20
	settled=$(now)
	before=$(ticks)
	sleep "$rest"
	kill -0 "$operator" || { cat "$dir/operator.log" >&2; exit 1; }
	busy=$((10 * ($(ticks) - before))) # Ticks are of 10 ms on every Linux.
	memory=$(awk '/^VmRSS/ {rss = $2} /^VmHWM/ {most = $2} END {printf "%.0f MiB (most: %.0f)", rss / 1024, most / 1024}' "/proc/$operator/status")
	stopped=$(now)
	end "$operator"
	operator=''
	row "$1" "the operator, at rest" "" "$busy ms in $rest s" "$memory" "$(requests "$user" "$from" "$settled") at its start; $(requests "$user" "$settled" "$stopped") in $rest s of rest"
}

popeye=${POPEYE:-}
[ -n "$popeye" ] || build_popeye
CGO_ENABLED=0 go build -o "$dir/" ./hack/bench ./cmd/kubectl-pullaccess
row "healthy pods" what time "CPU time" memory requests
row --- --- --- --- --- ---
for pods in "$@"; do
	hold "$pods"
	once "$pods" "popeye, pods" "$popeye" --kubeconfig "$KUBECONFIG" -A -s po --force-exit-zero
	# All that popeye looks at took 10 GiB at 5,000 pods: more pods could take the machine down.
	[ "$pods" -gt 5000 ] || once "$pods" "popeye, all" "$popeye" --kubeconfig "$KUBECONFIG" -A --force-exit-zero
	once "$pods" "kubectl get pods" kubectl get pods -A
	once "$pods" "kubectl get pods, Pending" kubectl get pods -A --field-selector=status.phase=Pending
	once "$pods" "kubectl pullaccess explain" "$dir/kubectl-pullaccess" explain -A --gcp-endpoint="$google"
	# shellcheck disable=SC2086 # Its words are separate.
	[ -z "${COMMAND:-}" ] || once "$pods" "$COMMAND" $COMMAND
	resident "$pods"
	end "$holder"
	holder=''
done
