// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import "fmt"

// NoWorkload says that access was granted and that no workload is on record.
const NoWorkload = "Access was granted; no workload on record has used it."

// WorkloadsStuck says that n workloads cannot pull after the last restart.
func WorkloadsStuck(n int) string {
	return fmt.Sprintf("%s cannot pull after all restarts; read the events of its pods.", workloads(n, "still", "still"))
}

// WorkloadsWaiting says that n workloads wait for IAM propagation.
func WorkloadsWaiting(n int) string {
	return fmt.Sprintf("Access was granted; %s for it to take effect.", workloads(n, "waits", "wait"))
}

// WorkloadsRestarting says that n workloads were restarted.
func WorkloadsRestarting(n int) string {
	return fmt.Sprintf("Access was granted; %s restarted, and its pods have still to start.", workloads(n, "was", "were"))
}

// WorkloadsLeftToKubelet says that the operator does not restart n workloads.
func WorkloadsLeftToKubelet(n int) string {
	return fmt.Sprintf("Access was granted; %s not restarted, and status.workloads says why.", workloads(n, "is", "are"))
}

// WorkloadsRecovered says that n workloads have started.
func WorkloadsRecovered(n int) string {
	return fmt.Sprintf("Access was granted; %s recovered.", workloads(n, "has", "have"))
}

// workloads counts them, with the verb that goes with the number.
func workloads(n int, one, many string) string {
	if n == 1 {
		return "1 workload " + one
	}
	return fmt.Sprintf("%d workloads %s", n, many)
}
