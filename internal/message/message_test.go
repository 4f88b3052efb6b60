// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	account = "gke-nodes@acme-prod.iam.gserviceaccount.com"
	grant   = "services.gke-nodes.0123456789abcdef"
	policy  = "prod"
)

var (
	repository = imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
	workload   = v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"}
	// The time zone shows that texts are in UTC.
	noon = time.Date(2026, 3, 4, 13, 0, 0, 0, time.FixedZone("CET", 3600))
)

// sentences are texts that stand for themselves.
var sentences = map[string]string{
	"AccessFound":            AccessFound(repository, account),
	"AccessGranted":          AccessGranted(repository, account),
	"AccessKept":             AccessKept(MemberNotOurs),
	"AccessRequested":        AccessRequested(repository, account, policy, grant),
	"AccessRevoked":          AccessRevoked(repository, account),
	"AccountNotFound":        AccountNotFound(account),
	"AddingMember":           AddingMember,
	"Approved":               Approved,
	"CircuitBreakerOpen":     CircuitBreakerOpen(policy, 10, 10*time.Minute, noon),
	"DisuseScheduled":        DisuseScheduled(noon),
	"EffectEnded":            EffectEnded,
	"ExpiryScheduled":        ExpiryScheduled(noon),
	"GrantDenied":            GrantDenied(ReviewedByUnknown(v1alpha1.ReviewDenied), grant),
	"GrantEnded":             GrantEnded,
	"GrantExpired":           GrantExpired(MemberRemoved),
	"GrantIneffective":       GrantIneffective,
	"GrantLimitReached":      GrantLimitReached(policy, 20, noon),
	"GrantRevoked":           GrantRevoked(Reviewed(v1alpha1.ReviewRevoked, "ann@example.com", "ticket 7"), MemberRemoved, grant),
	"GrantShareReached":      GrantShareReached(policy, "shop", 20, noon),
	"GrantUnused":            GrantUnused(MemberRemoved),
	"GrantWithoutPolicy":     GrantWithoutPolicy(MemberRemoved),
	"IAMPolicyConflict":      IAMPolicyConflict(repository),
	"IAMPolicyForbidden":     IAMPolicyForbidden(repository, "permission denied"),
	"IAMPolicyUnchanged":     IAMPolicyUnchanged(repository, "invalid argument"),
	"IAMPolicyUnreachable":   IAMPolicyUnreachable(repository, "unavailable"),
	"Ineffective":            Ineffective([]string{"deny policies", "groups"}),
	"KindNotRestarted":       KindNotRestarted("Job"),
	"MemberAdded":            MemberAdded,
	"MemberFound":            MemberFound,
	"MemberWritten":          MemberWritten("BwA=", "BwB=", RequestReason(grant)),
	"NoNamespaceSelected":    NoNamespaceSelected,
	"NoPolicy":               NoPolicy,
	"NoWorkload":             NoWorkload,
	"NotPermitted":           NotPermitted,
	"NotWritten":             NotWritten,
	"OnlyWildcards":          OnlyWildcards,
	"OrganizationPolicy":     OrganizationPolicy(repository),
	"OtherCause":             OtherCause("ImageNotFound"),
	"PodNotCovered":          PodNotCovered,
	"PodsTooLarge":           PodsTooLarge,
	"PolicyAsks":             PolicyAsks,
	"PolicyChanged":          PolicyChanged(policy),
	"PolicyDenies":           PolicyDenies(policy, PodNotSelected, "spec.podSelector"),
	"PolicyDryRun":           PolicyDryRun(3),
	"PolicyEnforces":         PolicyEnforces(policy),
	"PolicyGoneScheduled":    PolicyGoneScheduled(noon),
	"PolicyGrants":           PolicyGrants,
	"PolicyNotInForce":       PolicyNotInForce(policy),
	"PolicyPaused":           PolicyPaused(policy, "Freeze until Monday."),
	"ProposalLapsed":         ProposalLapsed,
	"Proposed":               Proposed(policy, noon),
	"PullWorked":             PullWorked,
	"RemovedByOwner":         RemovedByOwner,
	"RemovedExternally":      RemovedExternally(grant),
	"Renewed":                Renewed(noon),
	"RepositoriesRead":       RepositoriesRead(2),
	"RepositoriesUnreadable": RepositoriesUnreadable(2, 3, RepositoryNotFound(repository)),
	"RepositoryNotFound":     RepositoryNotFound(repository),
	"Requested":              Requested("Deployment", "shop", "web", policy),
	"RequestedAgain":         RequestedAgain,
	"Restart":                Restart(workload, 2),
	"RestartLimitReached":    RestartLimitReached(policy, 60, noon),
	"RestartNotApproved":     RestartNotApproved(policy),
	"RestartShareReached":    RestartShareReached(policy, "shop", 60, noon),
	"RestartsOff":            RestartsOff(policy),
	"Reviewed":               Reviewed(v1alpha1.ReviewApproved, "ann@example.com", ""),
	"ReviewedByUnknown":      ReviewedByUnknown(v1alpha1.ReviewApproved),
	"RevocationCancelled":    RevocationCancelled,
	"RevocationLimitReached": RevocationLimitReached(policy, 20, noon),
	"RevocationLimited":      RevocationLimited(grant, policy, 20, noon),
	"RolloutsPaused":         RolloutsPaused,
	"SelectorMismatch":       SelectorMismatch,
	"TooManyPrincipals":      TooManyPrincipals(repository, 1500),
	"WaitingForAccess":       WaitingForAccess(repository, account),
	"WaitingForApproval":     WaitingForApproval(repository, account, policy, grant),
	"WaitingForPropagation":  WaitingForPropagation,
	"WaitingForReview":       WaitingForReview(grant, noon),
	"WithinLimits":           WithinLimits,
	"WorkloadGone":           WorkloadGone,
	"WorkloadQuiet":          WorkloadQuiet,
	"WorkloadRecovered":      WorkloadRecovered(workload, repository),
	"WorkloadRestarted":      WorkloadRestarted(workload, repository, account),
	"WorkloadStuck":          WorkloadStuck,
	"WorkloadsLeftToKubelet": WorkloadsLeftToKubelet(1),
	"WorkloadsRecovered":     WorkloadsRecovered(2),
	"WorkloadsRestarting":    WorkloadsRestarting(1),
	"WorkloadsStuck":         WorkloadsStuck(2),
	"WorkloadsWaiting":       WorkloadsWaiting(1),
	"WouldGrant":             WouldGrant(repository, account, policy),
	"WrongName":              WrongName,
}

// parts are texts that a sentence contains or that follow a sentence. They have no shape
// in common.
var parts = map[string]string{
	"AccountNotListed":        AccountNotListed(account),
	"BoundedRequestReason":    BoundedRequestReason(256, grant),
	"ComputeDefaultAccount":   ComputeDefaultAccount(account),
	"InvalidSelector":         InvalidSelector("spec.podSelector", errors.New("no operator")), // It begins with the field.
	"MemberKeptForOthers":     MemberKeptForOthers(RemoveCommand(repository, account)),
	"MemberNotOurs":           MemberNotOurs,
	"MemberRemoved":           MemberRemoved,
	"ModeIsDryRun":            ModeIsDryRun,
	"NamespaceLabelsTooLarge": NamespaceLabelsTooLarge("shop"),
	"NamespaceNotSelected":    NamespaceNotSelected("shop"),
	"NextStep":                NextStep("gcloud projects list"),
	"NothingWritten":          NothingWritten,
	"PodNotSelected":          PodNotSelected,
	"PolicyDeleted":           PolicyDeleted,
	"PolicyIsPaused":          PolicyIsPaused,
	"RemoveCommand":           RemoveCommand(repository, "serviceAccount:"+account),
	"RemoveFinalizer":         RemoveFinalizer(grant),
	"RepositoryNotListed":     RepositoryNotListed(repository),
	"RequestReason":           RequestReason(grant),
	"RestartRejected":         RestartRejected("forbidden"), // It ends as the error does.
	"RetriesEvery":            RetriesEvery(10 * time.Minute),
	"RevokeByHand":            RevokeByHand(3, RemoveCommand(repository, "serviceAccount:"+account)),
	"SeeGrant":                SeeGrant(grant),
	"SeePage":                 SeePage("https://example.com/#x"),
	"ShowCommand":             ShowCommand(grant),
	"VirtualRepository":       VirtualRepository(repository),
}

// sentenceShape allows further sentences after the first one.
var sentenceShape = regexp.MustCompile(`^[A-Z0-9][^\n]*[^. ]\.$`)

func TestSentences(t *testing.T) {
	for name, text := range sentences {
		if !sentenceShape.MatchString(text) {
			t.Errorf("%s: %q does not begin with a capital letter or a number, and end with one full stop", name, text)
		}
	}
	for _, texts := range []map[string]string{sentences, parts} {
		for name, text := range texts {
			if strings.Contains(text, "%!") || strings.Contains(text, "  ") || strings.Contains(text, "..") {
				t.Errorf("%s: %q is not well formed", name, text)
			}
		}
	}
}

// TestEveryTextIsTested compares the tables above with the exported names of the package.
func TestEveryTextIsTested(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			switch d := declared.(type) {
			case *ast.FuncDecl:
				want = append(want, d.Name.Name)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if value, ok := spec.(*ast.ValueSpec); ok {
						want = append(want, value.Names[0].Name)
					}
				}
			}
		}
	}
	want = slices.DeleteFunc(want, func(name string) bool { return !ast.IsExported(name) })
	for _, texts := range []map[string]string{sentences, parts} {
		for name := range texts {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("texts without a test, and tests without a text (-declared +tested):\n%s", diff)
	}
}

func TestWording(t *testing.T) {
	for name, tc := range map[string]struct{ got, want string }{
		"time in UTC": {
			GrantLimitReached(policy, 20, noon),
			"Policy prod allows 20 grants in an hour (spec.limits.maxGrantsPerHour); what waits goes on at 2026-03-04T12:00:00Z.",
		},
		"one workload":     {WorkloadsWaiting(1), "Access was granted; 1 workload waits for it to take effect."},
		"no workloads":     {WorkloadsWaiting(0), "Access was granted; 0 workloads wait for it to take effect."},
		"review":           {Reviewed(v1alpha1.ReviewDenied, "ann@example.com", "ticket 7. "), "Denied by ann@example.com: ticket 7."},
		"review, no words": {Reviewed(v1alpha1.ReviewDenied, "ann@example.com", " ."), "Denied by ann@example.com: no reason was given."},
		"nothing unknown": {
			Ineffective(nil),
			"Pods still cannot pull after all attempts; look for a deny policy, a principal access boundary, VPC Service Controls or a download rule that blocks the account.",
		},
		"clause": {
			PolicyDenies(policy, RepositoryNotListed(repository), "spec.repositories"),
			"Policy prod does not allow the grant: it does not list repository acme-prod/us-central1/services (spec.repositories).",
		},
		"command in a sentence": {
			GrantRevoked(ReviewedByUnknown(v1alpha1.ReviewRevoked), NothingWritten, grant),
			"Revoked. As to the cloud, nothing of it is in the repository's policy. It is not asked for again until the record is deleted (kubectl delete pullaccessgrant " + grant + ").",
		},
		"command": {
			RemoveCommand(repository, "serviceAccount:"+account),
			"gcloud artifacts repositories remove-iam-policy-binding services --project=acme-prod --location=us-central1 --role=roles/artifactregistry.reader --member=serviceAccount:" + account,
		},
		"Event": {
			WorkloadRecovered(workload, repository),
			"Deployment shop/web has recovered: its pods pull from repository acme-prod/us-central1/services and have started.",
		},
		"reason that fits": {BoundedRequestReason(43, "a", "b"), "pull-access-operator: PullAccessGrant a, b"},
		"reason that is cut": {
			BoundedRequestReason(56, "services.one", "services.two"),
			"pull-access-operator: PullAccessGrant and more, 2 in all",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("texts differ (-want +got):\n%s", diff)
			}
		})
	}
}
