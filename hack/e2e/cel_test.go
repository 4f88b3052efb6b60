// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/limit"
)

// change sets one field of an object, by its path; a nil value takes the field away.
type change struct {
	path  string
	value any
}

// schemaCase is one rule or bound of a kind's schema.
type schemaCase struct {
	change
	// refused is what the API server must say, "" if it must accept.
	refused string
}

const (
	projectMessage  = "project must be a project ID, without a wildcard"
	locationMessage = "location must be a region, a multi-region or *"
	nameMessage     = "name must be a repository ID, its beginning followed by *, or *"
	accountMessage  = "entries in nodeServiceAccounts must be the email of a service account, or *@PROJECT.iam.gserviceaccount.com"
	uniqueMessage   = "entries in repositories must be unique"
	delayMessage    = "delay must be from 0s to 1h"
	expireMessage   = "expireAfter must be from 10m to 8760h"
	graceMessage    = "gracePeriod must be from 0s to 24h"
	unusedMessage   = "revokeWhenUnusedFor must be from 1h to 8760h"
	renewMessage    = "renew needs expireAfter"
	timeoutMessage  = "timeout must be from 1m to 720h"
	cooldownMessage = "restartCooldown must be from 0s to 24h"
	windowMessage   = "window must be from 1m to 24h"
	memberMessage   = "member must be serviceAccount:EMAIL"
	requiredMessage = "Required value"
	enumMessage     = "Unsupported value"
)

func repository(field, value string) change {
	entry := map[string]any{"project": nodeProject, "location": location, "name": "services"}
	entry[field] = value
	return change{"spec.repositories", []any{entry}}
}

// repositories are n that differ.
func repositories(n int) change {
	list := []any{}
	for i := range n {
		list = append(list, map[string]any{"project": nodeProject, "location": location, "name": fmt.Sprintf("services-%d", i)})
	}
	return change{"spec.repositories", list}
}

func accounts(emails ...string) change {
	list := []any{}
	for _, email := range emails {
		list = append(list, email)
	}
	return change{"spec.nodeServiceAccounts", list}
}

func manyAccounts(n int) change {
	emails := make([]string, n)
	for i := range emails {
		emails[i] = fmt.Sprintf("nodes-%d@%s.iam.gserviceaccount.com", i, nodeProject)
	}
	return accounts(emails...)
}

var policyCases = map[string]schemaCase{
	"as it is":                      {},
	"no mode":                       {change{"spec.mode", nil}, ""},
	"mode DryRun":                   {change{"spec.mode", "DryRun"}, ""},
	"mode in lower case":            {change{"spec.mode", "enforce"}, enumMessage},
	"no spec":                       {change{"spec", nil}, requiredMessage},
	"no namespaceSelector":          {change{"spec.namespaceSelector", nil}, requiredMessage},
	"empty namespaceSelector":       {change{"spec.namespaceSelector", map[string]any{}}, ""},
	"podSelector":                   {change{"spec.podSelector", map[string]any{"matchLabels": map[string]any{"tier": "web"}}}, ""},
	"no repositories":               {change{"spec.repositories", nil}, requiredMessage},
	"empty repositories":            {repositories(0), "should have at least 1 items"},
	"32 repositories":               {repositories(32), ""},
	"33 repositories":               {repositories(33), "must have at most 32 items"},
	"repository twice":              {change{"spec.repositories", slices.Concat(repositories(1).value.([]any), repositories(1).value.([]any))}, uniqueMessage},
	"domain-scoped project":         {repository("project", "example.com:web"), ""},
	"project with wildcard":         {repository("project", "acme-*"), projectMessage},
	"any project":                   {repository("project", "*"), projectMessage},
	"project with slash":            {repository("project", "acme/prod"), projectMessage},
	"project in upper case":         {repository("project", "ACME-PROD"), projectMessage},
	"project that ends with dash":   {repository("project", "acme-"), projectMessage},
	"short project":                 {repository("project", "abc"), "at least 4 chars long"},
	"long project":                  {repository("project", strings.Repeat("a", 129)), "may not be more than 128"},
	"no project":                    {change{"spec.repositories", []any{map[string]any{"location": location, "name": "services"}}}, requiredMessage},
	"multi-region":                  {repository("location", "europe"), ""},
	"any location":                  {repository("location", "*"), ""},
	"location with wildcard":        {repository("location", "us-*"), locationMessage},
	"location in upper case":        {repository("location", "US"), locationMessage},
	"empty location":                {repository("location", ""), "at least 1 chars long"},
	"long location":                 {repository("location", strings.Repeat("a", 64)), "may not be more than 63"},
	"no location":                   {change{"spec.repositories", []any{map[string]any{"project": nodeProject, "name": "services"}}}, requiredMessage},
	"name of a gcr.io repository":   {repository("name", "eu.gcr.io"), ""},
	"name with wildcard at the end": {repository("name", "team-*"), ""},
	"any name":                      {repository("name", "*"), ""},
	"name with wildcard before":     {repository("name", "*-team"), nameMessage},
	"name with wildcard inside":     {repository("name", "te*am"), nameMessage},
	"name with slash":               {repository("name", "services/app"), nameMessage},
	"name in upper case":            {repository("name", "Services"), nameMessage},
	"name that ends with dash":      {repository("name", "services-"), nameMessage},
	"empty name":                    {repository("name", ""), "at least 1 chars long"},
	"long name":                     {repository("name", strings.Repeat("a", 65)), "may not be more than 64"},
	"no name":                       {change{"spec.repositories", []any{map[string]any{"project": nodeProject, "location": location}}}, requiredMessage},
	"no accounts":                   {change{"spec.nodeServiceAccounts", nil}, requiredMessage},
	"empty accounts":                {accounts(), "should have at least 1 items"},
	"32 accounts":                   {manyAccounts(32), ""},
	"33 accounts":                   {manyAccounts(33), "must have at most 32 items"},
	"account twice":                 {accounts(nodeAccount, nodeAccount), "Duplicate value"},
	"all accounts of a project":     {accounts("*@" + nodeProject + ".iam.gserviceaccount.com"), ""},
	"default account":               {accounts(defaultAccount), ""},
	"all accounts of all projects":  {accounts("*"), accountMessage},
	"all accounts of a domain":      {accounts("*@gserviceaccount.com"), accountMessage},
	"all default accounts":          {accounts("*@developer.gserviceaccount.com"), accountMessage},
	"accounts by prefix":            {accounts("gke-*@" + nodeProject + ".iam.gserviceaccount.com"), accountMessage},
	"allUsers":                      {accounts("allUsers"), accountMessage},
	"allAuthenticatedUsers":         {accounts("allAuthenticatedUsers"), accountMessage},
	"user":                          {accounts("user:dev@example.com"), accountMessage},
	"email of a person":             {accounts("dev@example.com"), accountMessage},
	"group":                         {accounts("group:developers@example.com"), accountMessage},
	"domain":                        {accounts("domain:example.com"), accountMessage},
	"member instead of email":       {accounts("serviceAccount:" + nodeAccount), accountMessage},
	"account in upper case":         {accounts("GKE-nodes@" + nodeProject + ".iam.gserviceaccount.com"), accountMessage},
	"look-alike of a domain":        {accounts("nodes@acme.iam.gserviceaccount.com.example.com"), accountMessage},
	"empty account":                 {accounts(""), "at least 1 chars long"},
	"long account":                  {accounts(strings.Repeat("a", 235) + "@a.gserviceaccount.com"), "may not be more than 256"},
	"default account allowed":       {change{"spec.computeDefaultServiceAccount", "Allow"}, ""},
	"default account by bool":       {change{"spec.computeDefaultServiceAccount", "true"}, enumMessage},
	"virtual allowed":               {change{"spec.virtualRepositories", "Allow"}, ""},
	"virtual by another word":       {change{"spec.virtualRepositories", "Yes"}, enumMessage},
	"strategy DeleteStuckPods":      {change{"spec.restart.strategy", "DeleteStuckPods"}, ""},
	"strategy None":                 {change{"spec.restart.strategy", "None"}, ""},
	"unknown strategy":              {change{"spec.restart.strategy", "Recreate"}, enumMessage},
	"ten minutes' grant":            {change{"spec.grant.expireAfter", "10m"}, ""},
	"a year's grant":                {change{"spec.grant.expireAfter", "8760h"}, ""},
	"a shorter grant":               {change{"spec.grant.expireAfter", "9m59s"}, expireMessage},
	"a longer grant":                {change{"spec.grant.expireAfter", "8760h1s"}, expireMessage},
	"a grant for days":              {change{"spec.grant.expireAfter", "30d"}, expireMessage},
	"no grace":                      {change{"spec.grant.gracePeriod", "0s"}, ""},
	"a day's grace":                 {change{"spec.grant.gracePeriod", "24h"}, ""},
	"a longer grace":                {change{"spec.grant.gracePeriod", "24h1s"}, graceMessage},
	"a negative grace":              {change{"spec.grant.gracePeriod", "-1s"}, graceMessage},
	"keep without policy":           {change{"spec.grant.whenPolicyGone", "Keep"}, ""},
	"neither keep nor revoke":       {change{"spec.grant.whenPolicyGone", "Ask"}, enumMessage},
	"no delay":                      {change{"spec.restart.delay", "0s"}, ""},
	"an hour's delay":               {change{"spec.restart.delay", "1h"}, ""},
	"a longer delay":                {change{"spec.restart.delay", "1h1s"}, delayMessage},
	"a negative delay":              {change{"spec.restart.delay", "-1s"}, delayMessage},
	"a delay in days":               {change{"spec.restart.delay", "1d"}, delayMessage},
	"a delay without unit":          {change{"spec.restart.delay", int64(60)}, "must be of type string"},
	"a long delay text":             {change{"spec.restart.delay", strings.Repeat("0", 31) + "1s"}, "may not be more than 32"},
	"one attempt":                   {change{"spec.restart.maxAttempts", int64(1)}, ""},
	"six attempts":                  {change{"spec.restart.maxAttempts", int64(6)}, ""},
	"zero attempts":                 {change{"spec.restart.maxAttempts", int64(0)}, "should be greater than or equal to 1"},
	"seven attempts":                {change{"spec.restart.maxAttempts", int64(7)}, "should be less than or equal to 6"},
	"mode Approve":                  {change{"spec.mode", "Approve"}, ""},
	"a pause":                       {change{"spec.pause", map[string]any{"reason": "freeze"}}, ""},
	"a pause without a reason":      {change{"spec.pause", map[string]any{}}, requiredMessage},
	"a pause for an empty reason":   {change{"spec.pause.reason", ""}, "at least 1 chars long"},
	"a pause for a long reason":     {change{"spec.pause.reason", strings.Repeat("a", 257)}, "may not be more than 256"},
	"a minute to answer":            {change{"spec.approval.timeout", "1m"}, ""},
	"less than a minute to answer":  {change{"spec.approval.timeout", "59s"}, timeoutMessage},
	"thirty days to answer":         {change{"spec.approval.timeout", "720h"}, ""},
	"more than thirty to answer":    {change{"spec.approval.timeout", "720h1s"}, timeoutMessage},
	"an hour unused":                {change{"spec.grant.revokeWhenUnusedFor", "1h"}, ""},
	"less than an hour unused":      {change{"spec.grant.revokeWhenUnusedFor", "59m"}, unusedMessage},
	"more than a year unused":       {change{"spec.grant.revokeWhenUnusedFor", "8760h1s"}, unusedMessage},
	"renewed":                       {change{"spec.grant", map[string]any{"renew": "WhileUsed", "expireAfter": "1h"}}, ""},
	"renewed without an end":        {change{"spec.grant.renew", "WhileUsed"}, renewMessage},
	"never renewed, without an end": {change{"spec.grant.renew", "Never"}, ""},
	"renewed by another word":       {change{"spec.grant.renew", "Always"}, enumMessage},
	"several clusters":              {change{"spec.grant.accountsUsedBy", "SeveralClusters"}, ""},
	"clusters by another word":      {change{"spec.grant.accountsUsedBy", "Nobody"}, enumMessage},
	"one grant an hour":             {change{"spec.limits.maxGrantsPerHour", int64(1)}, ""},
	"no grant an hour":              {change{"spec.limits.maxGrantsPerHour", int64(0)}, "should be greater than or equal to 1"},
	"too many grants an hour":       {change{"spec.limits.maxGrantsPerHour", int64(1001)}, "should be less than or equal to 1000"},
	"no revocation an hour":         {change{"spec.limits.maxRevocationsPerHour", int64(0)}, "should be greater than or equal to 1"},
	"too many revocations an hour":  {change{"spec.limits.maxRevocationsPerHour", int64(1001)}, "should be less than or equal to 1000"},
	"no restart an hour":            {change{"spec.limits.maxRestartsPerHour", int64(0)}, "should be greater than or equal to 1"},
	"too many restarts an hour":     {change{"spec.limits.maxRestartsPerHour", int64(10001)}, "should be less than or equal to 10000"},
	"no cooldown":                   {change{"spec.limits.restartCooldown", "0s"}, ""},
	"more than a day's cooldown":    {change{"spec.limits.restartCooldown", "24h1s"}, cooldownMessage},
	"a negative cooldown":           {change{"spec.limits.restartCooldown", "-1s"}, cooldownMessage},
	"a circuit breaker at none":     {change{"spec.limits.circuitBreaker.maxRepositories", int64(0)}, "should be greater than or equal to 1"},
	"a window of a minute":          {change{"spec.limits.circuitBreaker.window", "1m"}, ""},
	"a window of a moment":          {change{"spec.limits.circuitBreaker.window", "59s"}, windowMessage},
	"brakes":                        {change{"spec.brakes", map[string]any{"maxGrantsPerHour": int64(1)}}, "brakes was renamed: set limits instead"},
	"empty brakes":                  {change{"spec.brakes", map[string]any{}}, "brakes was renamed: set limits instead"},
	"storm":                         {change{"spec.limits.storm", map[string]any{"window": "1m"}}, "storm was renamed: set circuitBreaker instead"},
	"cooldown":                      {change{"spec.limits.cooldown", "5m"}, "cooldown was renamed: set restartCooldown instead"},
	"an unknown field":              {change{"spec.repository", "services"}, `unknown field "spec.repository"`},
}

var grantCases = map[string]schemaCase{
	"as it is":                {},
	"no spec":                 {change{"spec", nil}, requiredMessage},
	"no repository":           {change{"spec.repository", nil}, requiredMessage},
	"no project":              {change{"spec.repository.project", nil}, requiredMessage},
	"empty project":           {change{"spec.repository.project", ""}, "at least 1 chars long"},
	"long project":            {change{"spec.repository.project", strings.Repeat("a", 129)}, "may not be more than 128"},
	"no location":             {change{"spec.repository.location", nil}, requiredMessage},
	"empty location":          {change{"spec.repository.location", ""}, "at least 1 chars long"},
	"long location":           {change{"spec.repository.location", strings.Repeat("a", 64)}, "may not be more than 63"},
	"no name":                 {change{"spec.repository.name", nil}, requiredMessage},
	"empty name":              {change{"spec.repository.name", ""}, "at least 1 chars long"},
	"long name":               {change{"spec.repository.name", strings.Repeat("a", 64)}, "may not be more than 63"},
	"no member":               {change{"spec.member", nil}, requiredMessage},
	"empty member":            {change{"spec.member", ""}, "at least 1 chars long"},
	"long member":             {change{"spec.member", "serviceAccount:" + strings.Repeat("a", 270) + "@a.gserviceaccount.com"}, "may not be more than 300"},
	"default account":         {change{"spec.member", "serviceAccount:" + defaultAccount}, ""},
	"email without its kind":  {change{"spec.member", nodeAccount}, memberMessage},
	"allUsers":                {change{"spec.member", "allUsers"}, memberMessage},
	"user":                    {change{"spec.member", "user:dev@example.com"}, memberMessage},
	"account of no project":   {change{"spec.member", "serviceAccount:dev@example.com"}, memberMessage},
	"wildcard":                {change{"spec.member", "serviceAccount:*@" + nodeProject + ".iam.gserviceaccount.com"}, memberMessage},
	"no policy":               {change{"spec.policy", nil}, requiredMessage},
	"empty policy":            {change{"spec.policy", ""}, "at least 1 chars long"},
	"long policy":             {change{"spec.policy", strings.Repeat("a", 254)}, "may not be more than 253"},
	"no workload":             {change{"spec.workload", nil}, requiredMessage},
	"no kind":                 {change{"spec.workload.kind", nil}, requiredMessage},
	"empty kind":              {change{"spec.workload.kind", ""}, "at least 1 chars long"},
	"long kind":               {change{"spec.workload.kind", strings.Repeat("a", 64)}, "may not be more than 63"},
	"no namespace":            {change{"spec.workload.namespace", nil}, requiredMessage},
	"empty namespace":         {change{"spec.workload.namespace", ""}, "at least 1 chars long"},
	"long namespace":          {change{"spec.workload.namespace", strings.Repeat("a", 64)}, "may not be more than 63"},
	"no name of the workload": {change{"spec.workload.name", nil}, requiredMessage},
	"empty workload":          {change{"spec.workload.name", ""}, "at least 1 chars long"},
	"long workload":           {change{"spec.workload.name", strings.Repeat("a", 254)}, "may not be more than 253"},
	"no uid":                  {change{"spec.workload.uid", nil}, ""},
	"long uid":                {change{"spec.workload.uid", strings.Repeat("a", 65)}, "may not be more than 64"},
	"an unknown field":        {change{"spec.members", "allUsers"}, `unknown field "spec.members"`},
}

// TestPolicySchema tries each rule and bound of the kind on the API server.
func TestPolicySchema(t *testing.T) {
	s := &site{namespace: "schema", account: nodeAccount}
	s.repository.Project, s.repository.Location, s.repository.Name = nodeProject, location, "services"
	testSchema(t, s.policy(), "PullAccessPolicy", policyCases)
}

// TestGrantSchema does so with the other kind.
func TestGrantSchema(t *testing.T) {
	testSchema(t, newGrant("schema"), "PullAccessGrant", grantCases)
}

func testSchema(t *testing.T, valid client.Object, kind string, cases map[string]schemaCase) {
	t.Helper()
	strict := client.NewDryRunClient(client.WithFieldValidation(shared.client, "Strict"))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := asFields(t, valid, kind)
			if tc.path != "" {
				tc.apply(t, object)
			}
			err := strict.Create(t.Context(), object)
			switch {
			case tc.refused == "" && err != nil:
				t.Errorf("it was refused: %v", err)
			case tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)):
				t.Errorf("the API server said %v, want it to refuse with %q", err, tc.refused)
			}
		})
	}
}

// asFields is the object as a user writes it, field by field.
func asFields(t *testing.T, valid client.Object, kind string) *unstructured.Unstructured {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(valid)
	if err != nil {
		t.Fatal(err)
	}
	delete(fields, "status")
	object := &unstructured.Unstructured{Object: fields}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return object
}

func (c change) apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	path := strings.Split(c.path, ".")
	if c.value == nil {
		unstructured.RemoveNestedField(object.Object, path...)
		return
	}
	if err := unstructured.SetNestedField(object.Object, c.value, path...); err != nil {
		t.Fatal(err)
	}
}

// TestGrantIsImmutable changes each part of a stored grant's spec.
func TestGrantIsImmutable(t *testing.T) {
	stored := newGrant("immutable")
	create(t, stored)
	t.Cleanup(func() {
		if err := shared.client.Delete(context.WithoutCancel(t.Context()), stored); err != nil {
			t.Error(err)
		}
	})
	changes := map[string]string{
		"spec.member": "serviceAccount:" + defaultAccount, "spec.policy": "another", "spec.repository.name": "another",
		"spec.repository.project": "another", "spec.repository.location": "us", "spec.workload.name": "another",
	}
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		object := asFields(t, stored, "PullAccessGrant")
		change{path, changes[path]}.apply(t, object)
		err := shared.client.Update(t.Context(), object)
		if err == nil || !strings.Contains(err.Error(), "spec is immutable: delete the grant to take it back") {
			t.Errorf("changing %s: the API server said %v, want it to refuse", path, err)
		}
	}
	stored.Labels = map[string]string{"team": "web"}
	if err := shared.client.Update(t.Context(), stored); err != nil {
		t.Errorf("labels are no part of the spec: %v", err)
	}
}

// TestPolicyDefaults wants the API server to fill in what denies, tells and waits.
func TestPolicyDefaults(t *testing.T) {
	s := &site{namespace: "defaults", account: nodeAccount}
	s.repository.Project, s.repository.Location, s.repository.Name = nodeProject, location, "services"
	policy := s.policy()
	policy.Spec.Mode, policy.Spec.Restart = "", v1alpha1.RestartSpec{}
	if err := client.NewDryRunClient(shared.client).Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	got := policy.Spec
	if got.Mode != v1alpha1.ModeDryRun || got.ComputeDefaultServiceAccount != v1alpha1.Deny || got.VirtualRepositories != v1alpha1.Deny {
		t.Errorf("defaults %+v, want DryRun, Deny, Deny", got)
	}
	if got.Restart.Strategy != v1alpha1.RestartRollout || got.Restart.Delay == nil || got.Restart.Delay.Duration != time.Minute || got.Restart.MaxAttempts != 3 {
		t.Errorf("restart %+v, want a rollout after 60s, thrice at most", got.Restart)
	}
	if g := got.Grant; g.ExpireAfter != nil || g.RevokeWhenUnusedFor != nil || g.Renew != v1alpha1.RenewNever || g.AccountsUsedBy != v1alpha1.UsedByThisCluster ||
		g.WhenPolicyGone != v1alpha1.Revoke || g.GracePeriod.Duration != v1alpha1.DefaultGracePeriod {
		t.Errorf("grant %+v, want one that ends with its policy", g)
	}
	unset := v1alpha1.LimitsSpec{}
	if got.Pause != nil || got.Approval.Timeout.Duration != v1alpha1.DefaultApprovalTimeout || limit.LimitsOf(got.Limits) != limit.LimitsOf(unset) || got.Limits.MaxGrantsPerHour == 0 {
		t.Errorf("pause %v, approval %+v, limits %+v, want none, a day, and what unset means", got.Pause, got.Approval, got.Limits)
	}
}

// newGrant is a grant as the operator writes it.
func newGrant(name string) *v1alpha1.PullAccessGrant {
	grant := &v1alpha1.PullAccessGrant{Spec: v1alpha1.PullAccessGrantSpec{
		Repository: v1alpha1.Repository{Project: nodeProject, Location: location, Name: "services"},
		Member:     "serviceAccount:" + nodeAccount,
		Policy:     "services",
		Workload:   v1alpha1.Workload{Kind: "Deployment", Namespace: "default", Name: "app", UID: "4ff6c2b0-6f5b-4f0b-9a54-2f1d0f1f5d1c"},
	}}
	grant.Name = name
	return grant
}
