// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// TestRecord: every state of a grant is explained by the record, whatever is known besides.
func TestRecord(t *testing.T) {
	const (
		platform, operator, admin = diagnosis.PlatformTeam, diagnosis.Operator, diagnosis.GoogleCloudAdmin
		troubleshoot              = "gcloud policy-intelligence troubleshoot-policy iam " +
			"//artifactregistry.googleapis.com/projects/acme-prod/locations/us-central1/repositories/services --principal-email=" + account +
			" --permission=artifactregistry.repositories.downloadArtifacts"
	)
	approve := "kubectl pullaccess approve " + name
	states := map[string]struct {
		edits  []func(*v1alpha1.PullAccessGrant)
		reason string
		actor  diagnosis.Actor
		next   string
		says   string
	}{
		"granting":           {[]func(*v1alpha1.PullAccessGrant){intends}, requested, operator, showGrant, "policy prod"},
		"waiting":            {[]func(*v1alpha1.PullAccessGrant){proposed}, waits, platform, approve, "policy prod"},
		"approved":           {[]func(*v1alpha1.PullAccessGrant){proposed, reviewed(v1alpha1.ReviewApproved)}, grantstatus.StateApproved, operator, showGrant, "ticket 7"},
		"approved, recorded": {[]func(*v1alpha1.PullAccessGrant){proposed, reviewed(v1alpha1.ReviewApproved), approved}, grantstatus.StateApproved, operator, showGrant, "ticket 7"},
		"denied":             {[]func(*v1alpha1.PullAccessGrant){proposed, reviewed(v1alpha1.ReviewDenied)}, denied, platform, showGrant, "Denied by ann@example.com: ticket 7."},
		"denied, ended":      {[]func(*v1alpha1.PullAccessGrant){proposed, reviewed(v1alpha1.ReviewDenied), ended(v1alpha1.EndDenied)}, denied, platform, showGrant, "Denied by ann@example.com: ticket 7."},
		"revoked":            {[]func(*v1alpha1.PullAccessGrant){granted, reviewed(v1alpha1.ReviewRevoked)}, grantstatus.StateRevoking, platform, showGrant, "ticket 7"},
		"revoked, ended":     {[]func(*v1alpha1.PullAccessGrant){granted, reviewed(v1alpha1.ReviewRevoked), ended(v1alpha1.EndRevoked)}, "Revoked", platform, showGrant, "ticket 7"},
		"deleted":            {[]func(*v1alpha1.PullAccessGrant){granted, deleted}, grantstatus.StateRevoking, platform, showGrant, "deleted"},
		"lapsed":             {[]func(*v1alpha1.PullAccessGrant){proposed, ended(v1alpha1.EndLapsed)}, lapsed, platform, showGrant, "Nobody has answered"},
		"policy changed":     {[]func(*v1alpha1.PullAccessGrant){proposed, ended(v1alpha1.EndPolicyChanged)}, "PolicyChanged", operator, showGrant, "Policy prod"},
		"not requested":      {[]func(*v1alpha1.PullAccessGrant){grantstatus.AwaitDemand}, "NotRequested", operator, showGrant, "No failing pod needs"},
		"not needed":         {[]func(*v1alpha1.PullAccessGrant){ended(v1alpha1.EndNotNeeded)}, "NotNeeded", operator, showGrant, "15 minutes"},
		"expired":            {[]func(*v1alpha1.PullAccessGrant){granted, ended(v1alpha1.EndExpired)}, "Expired", operator, showGrant, "time was over"},
		"unused":             {[]func(*v1alpha1.PullAccessGrant){granted, ended(v1alpha1.EndUnused)}, "Unused", operator, showGrant, "used it"},
		"policy gone":        {[]func(*v1alpha1.PullAccessGrant){granted, ended(v1alpha1.EndPolicyGone)}, "PolicyGone", platform, "kubectl get pullaccesspolicies", "No PullAccessPolicy"},
		"removed by owner":   {[]func(*v1alpha1.PullAccessGrant){found, ended(v1alpha1.EndRemovedByOwner)}, "RemovedByOwner", operator, showGrant, "had been there before"},
		"removed":            {[]func(*v1alpha1.PullAccessGrant){granted, ended(v1alpha1.EndRemovedExternally)}, removed, platform, showGrant + " -o terraform", "somebody else"},
		"rate limit":         {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "GrantsPerHour")}, "GrantsPerHour", operator, "kubectl describe pullaccesspolicy prod", "Why it is so."},
		"circuit breaker":    {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "CircuitBreaker")}, "CircuitBreaker", platform, "kubectl describe pullaccesspolicy prod", "Why it is so."},
		"forbidden":          {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "CloudForbidden")}, "CloudForbidden", platform, showGrant, "Why it is so."},
		"unreachable":        {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionUnknown, "CloudUnreachable")}, "CloudUnreachable", operator, showGrant, "Why it is so."},
		"conflict":           {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionUnknown, "Conflict")}, "Conflict", operator, showGrant, "Why it is so."},
		"no account":         {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "AccountNotFound")}, "AccountNotFound", platform, showGrant, "Why it is so."},
		"constraint":         {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "OrganizationPolicy")}, "OrganizationPolicy", admin, showGrant, "Why it is so."},
		"full":               {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "TooManyPrincipals")}, "TooManyPrincipals", admin, showGrant, "Why it is so."},
		"write refused":      {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "WriteRefused")}, "WriteRefused", platform, showGrant, "Why it is so."},
		"no repository":      {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "RepositoryNotFound")}, "RepositoryNotFound", diagnosis.Developer, showGrant, "Why it is so."},
		"unreadable":         {[]func(*v1alpha1.PullAccessGrant){refused(metav1.ConditionFalse, "RepositoryUnreadable")}, "RepositoryUnreadable", platform, showGrant, "Why it is so."},
		"granted":            {[]func(*v1alpha1.PullAccessGrant){granted}, propagating, operator, showGrant, "waiting for IAM propagation"},
		"granted, and ending": {[]func(*v1alpha1.PullAccessGrant){granted, func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: metav1.NewTime(start.Add(time.Hour))}, start)
		}}, propagating, operator, showGrant, "waiting for IAM propagation"},
		"granted long ago": {[]func(*v1alpha1.PullAccessGrant){grantedLongAgo}, blocked, admin, troubleshoot, "so a grant cannot help"},
		"ineffective":      {[]func(*v1alpha1.PullAccessGrant){granted, ineffective}, v1alpha1.ReasonIneffective, admin, troubleshoot, "deny policy"},
	}
	covered := map[string]bool{}
	tests := map[string]answerCase{}
	for name, s := range states {
		covered[s.reason] = true
		tests["nothing was read/"+name] = answerCase{recorded(unknown(diagnosed(notRead)), s.edits...), s.reason, s.actor, s.next, []string{s.says}, "the record tells"}
	}
	check(t, tests)
	for reason := range answers {
		if !covered[reason] {
			t.Errorf("no state of a grant leads to %s", reason)
		}
	}
}

func intends(g *v1alpha1.PullAccessGrant)  { grantstatus.Intend(g, true, "etag", start) }
func approved(g *v1alpha1.PullAccessGrant) { grantstatus.Approve(g, start) }

// TestRecordAndFacts: which of both counts, if the facts are known too.
func TestRecordAndFacts(t *testing.T) {
	const platform, operator, admin = diagnosis.PlatformTeam, diagnosis.Operator, diagnosis.GoogleCloudAdmin
	deny := []func(*v1alpha1.PullAccessGrant){proposed, reviewed(v1alpha1.ReviewDenied), ended(v1alpha1.EndDenied)}
	allowed, narrow := decided(diagnosed(), policyOf()), decided(diagnosed(), policyOf(narrowed))
	none, toApprove := decided(diagnosed()), decided(diagnosed(), policyOf(asks))
	late, after, another := toApprove, decided(diagnosed(), policyOf()), policyOf()
	late.Now, after.Created = start.Add(1000*time.Hour), start.Add(time.Second)
	another.Name = "other"
	const edit = "kubectl edit pullaccesspolicy prod"
	expired := []func(*v1alpha1.PullAccessGrant){granted, ended(v1alpha1.EndExpired)}
	check(t, map[string]answerCase{
		"denied, allowed":             {recorded(allowed, deny...), denied, platform, showGrant, nil, "a person's decision stays"},
		"denied, no policy":           {recorded(none, deny...), denied, platform, showGrant, nil, "the manual grant would bypass the denial"},
		"denied, policy denies":       {recorded(narrow, deny...), denied, platform, showGrant, nil, "the record comes first"},
		"denied, no access":           {recorded(decided(diagnosed(hasAccess), policyOf()), deny...), blocked, admin, diagnosed(hasAccess).Command, nil, "somebody else granted it"},
		"denied, another cause":       {recorded(decided(diagnosed(func(f *diagnosis.Facts) { f.Puller.Scopes = nil })), deny...), "ScopesMissing", platform, diagnosed(func(f *diagnosis.Facts) { f.Puller.Scopes = nil }).Command, nil, "access is not what fails"},
		"denied, unread":              {recorded(unknown(diagnosed(unavailable)), deny...), denied, platform, showGrant, nil, "it stays whatever is read"},
		"expired, allowed":            {recorded(allowed, expired...), requested, operator, showGrant, nil, "the operator requests it again"},
		"expired, to be approved":     {recorded(toApprove, expired...), waits, platform, "kubectl pullaccess approve " + name, nil, ""},
		"expired, policy denies":      {recorded(narrow, expired...), "RepositoryNotListed", platform, edit, nil, "the policy denies the next request"},
		"expired, no policy":          {recorded(none, expired...), "Expired", operator, showGrant, nil, "no manual grant"},
		"expired, unread":             {recorded(unknown(diagnosed(unavailable)), expired...), "RepositoryUnreadable", platform, diagnosed(unavailable).Command, nil, "a new request needs the facts"},
		"lapsed, an older pod":        {recorded(allowed, proposed, ended(v1alpha1.EndLapsed)), lapsed, platform, showGrant, nil, "it was requested for this pod"},
		"lapsed, a newer pod":         {recorded(after, proposed, ended(v1alpha1.EndLapsed)), requested, operator, showGrant, nil, ""},
		"waits too long":              {recorded(late, proposed), lapsed, platform, showGrant, nil, "an approval would come too late"},
		"waits, no policy":            {recorded(none, proposed), waits, platform, "kubectl pullaccess approve " + name, nil, "the review is what is missing"},
		"waits, another allows":       {recorded(decided(diagnosed(), another), proposed), requested, operator, showGrant, []string{"policy other"}, "it asks nobody"},
		"waits, the same enforces":    {recorded(allowed, proposed), waits, platform, "kubectl pullaccess approve " + name, nil, "the grant controller decides"},
		"new, to be approved":         {recorded(toApprove), waits, platform, "kubectl pullaccess approve " + name, nil, ""},
		"new, allowed":                {recorded(allowed), requested, operator, showGrant, nil, ""},
		"new, unread":                 {recorded(unknown(diagnosed(unavailable))), requested, operator, showGrant, nil, ""},
		"written, not recorded":       {recorded(decided(diagnosed(propagates), policyOf()), intends), requested, operator, showGrant, nil, ""},
		"granted":                     {recorded(decided(diagnosed(propagates), policyOf()), granted), propagating, operator, showGrant, nil, ""},
		"granted, pod not covered":    {recorded(decided(diagnosed(propagates), policyOf(narrowed)), granted), propagating, diagnosis.Nobody, showGrant, []string{"covers this pod"}, "its workload is not restarted"},
		"granted long ago":            {recorded(decided(diagnosed(hasAccess), policyOf()), grantedLongAgo), blocked, admin, diagnosed(hasAccess).Command, nil, ""},
		"granted, revoked by a user":  {recorded(decided(diagnosed(hasAccess)), granted, reviewed(v1alpha1.ReviewRevoked)), grantstatus.StateRevoking, platform, showGrant, nil, ""},
		"granted, being deleted":      {recorded(decided(diagnosed(hasAccess)), granted, deleted), blocked, admin, diagnosed(hasAccess).Command, nil, "it is not the operator's any more"},
		"ineffective":                 {recorded(decided(diagnosed(hasAccess), policyOf()), granted, ineffective), v1alpha1.ReasonIneffective, admin, diagnosed(hasAccess).Command, nil, ""},
		"removed, not yet recorded":   {recorded(decided(diagnosed(wasRemoved), policyOf()), granted), removed, platform, showGrant + " -o terraform", nil, ""},
		"found, removed by its owner": {recorded(allowed, found), requested, operator, showGrant, nil, "nobody denied it"},
		"unknown reason":              {recorded(unknown(diagnosed(notRead)), refused(metav1.ConditionFalse, "Conflict")), "Conflict", operator, showGrant, nil, ""},
	})
}

// TestOneAnswerBeforeAndAfter: the operator acts on a denial, an approval and a removal
// without a second Event.
func TestOneAnswerBeforeAndAfter(t *testing.T) {
	for name, tc := range map[string][2]Input{
		"denial": {
			recorded(unknown(diagnosed()), proposed, reviewed(v1alpha1.ReviewDenied)),
			recorded(unknown(diagnosed()), proposed, reviewed(v1alpha1.ReviewDenied), ended(v1alpha1.EndDenied)),
		},
		"approval": {
			recorded(unknown(diagnosed()), proposed, reviewed(v1alpha1.ReviewApproved)),
			recorded(unknown(diagnosed()), proposed, reviewed(v1alpha1.ReviewApproved), approved),
		},
		"removal": {
			recorded(decided(diagnosed(wasRemoved)), granted),
			recorded(decided(diagnosed(wasRemoved)), granted, ended(v1alpha1.EndRemovedExternally)),
		},
		"request": {decided(diagnosed(), policyOf(asks)), recorded(decided(diagnosed(), policyOf(asks)), proposed)},
		"limit": {
			recorded(unknown(diagnosed()), refused(metav1.ConditionFalse, "GrantsPerHour")),
			recorded(unknown(diagnosed()), func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Refuse(g, metav1.ConditionFalse, "GrantsPerHour", "Another time.", true)
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if before, after := Of(tc[0]).Key(), Of(tc[1]).Key(); before != after {
				t.Errorf("it says %q before and %q after", before, after)
			}
		})
	}
}

// TestEveryEndIsExplained fails for a reason of the API that has no answer here.
func TestEveryEndIsExplained(t *testing.T) {
	var seen int
	for _, file := range []string{"lifetime_types.go", "limits_types.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/"+file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			kind, ok := spec.Type.(*ast.Ident)
			if !ok || kind.Name != "EndReason" && kind.Name != "Limit" || strings.HasPrefix(spec.Names[0].Name, "LimitRestarts") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			reason, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if _, ok := answers[reason]; !ok {
				t.Errorf("%s (%s) has no answer", spec.Names[0].Name, reason)
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("no reason was found: the test looks at nothing")
	}
}

// TestReasons: the list is complete and in order, and each policy's reason has an actor.
func TestReasons(t *testing.T) {
	all := Reasons()
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) || !slices.Contains(all, "AccessMissing") {
		t.Errorf("reasons are %v", all)
	}
	for reason, want := range map[string]diagnosis.Actor{"NoPolicy": diagnosis.PlatformTeam, "CircuitBreaker": diagnosis.PlatformTeam, "Expired": diagnosis.Operator} {
		if _, actor, ok := HelpAndActor(reason); !ok || actor != want {
			t.Errorf("%s acts on %s, want %s", actor, reason, want)
		}
	}
	if _, _, ok := HelpAndActor("Network"); ok {
		t.Error("a reason of the diagnosis has an actor of its own there")
	}
}
