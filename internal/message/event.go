// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// NextStep follows the sentence of a denial, and gives the command to run next.
func NextStep(command string) string { return " Next: " + command }

// SeePage follows the sentence of a denial, and gives the page that explains it.
func SeePage(page string) string { return " See " + page }

// AccessGranted says that the operator granted access.
func AccessGranted(repository imageref.Repository, account string) string {
	return "Granted read access to " + repositoryName(repository) + " to " + accountName(account) + "."
}

// AccessFound says that the account had access before.
func AccessFound(repository imageref.Repository, account string) string {
	return "Read access to " + repositoryName(repository) + " was there already for " + accountName(account) + "; nothing was written."
}

// AccessRevoked says that the operator revoked access, because somebody deleted the grant.
func AccessRevoked(repository imageref.Repository, account string) string {
	return "Took back read access to " + repositoryName(repository) + " from " + accountName(account) + "; while a policy allows it, the next pod that cannot pull has it granted again."
}

// AccessKept says that somebody deleted the grant and that the access stays. member is one
// of the clauses of member.go.
func AccessKept(member string) string { return "The record is deleted; " + member }

// WorkloadRestarted says that the operator restarted the workload, and why.
func WorkloadRestarted(w v1alpha1.Workload, repository imageref.Repository, account string) string {
	return "Restarted " + workloadName(w) + ": its pods could not pull from " + repositoryName(repository) + ", to which " + accountName(account) + " was granted read access."
}

// WorkloadRecovered says that the workload's pods have started.
func WorkloadRecovered(w v1alpha1.Workload, repository imageref.Repository) string {
	return workloadName(w) + " has recovered: its pods pull from " + repositoryName(repository) + " and have started."
}

func accountName(email string) string { return "service account " + email }

func repositoryName(r imageref.Repository) string { return "repository " + r.String() }

func workloadName(w v1alpha1.Workload) string { return w.Kind + " " + w.Namespace + "/" + w.Name }
