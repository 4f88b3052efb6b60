// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// operatorUser is whom the API server sees when the operator speaks.
const operatorUser = "system:serviceaccount:" + operatorNamespace + ":" + operatorName

// isWholeSuite tells whether no test was left out: only then must every right have been used.
func isWholeSuite() bool {
	for _, name := range []string{"test.run", "test.skip"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// checkRights compares what the operator asked the API server for, by its audit log, with what config gives it. Nothing
// may have been refused; if all is set, nothing may be given that was not used.
func checkRights(all bool) error {
	used, refused, err := requests()
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return fmt.Errorf("config lacks what the operator asked for: %s", strings.Join(refused, ", "))
	}
	if !all {
		return nil
	}
	given, err := rights()
	if err != nil {
		return err
	}
	if len(given) == 0 {
		return errors.New("config gives the operator nothing: the check reads the wrong files")
	}
	// No request has this verb: an admission policy asks whether the operator has it, and the audit log does not show that.
	// TestAdmissionOfGrantStatus goes red without it.
	given = slices.DeleteFunc(given, func(r string) bool { return r == right("pullaccess.dev", "pullaccessgrants", "write-status", "", "") })
	if diff := cmp.Diff(given, used); diff != "" {
		return fmt.Errorf("what config gives is not what the operator uses (-given +used):\n%s", diff)
	}
	return nil
}

// right is what one rule gives, and what one request needs, as GROUP/RESOURCE VERB [NAMESPACE] [NAME]. The namespace and the
// name are there only for the rights of the namespaced role.
func right(group, resource, verb, namespace, name string) string {
	return strings.TrimSpace(strings.Join([]string{group + "/" + resource, verb, namespace, name}, " "))
}

// rights lists what the operator's roles give, that of a component included.
func rights() ([]string, error) {
	given := map[string]bool{}
	for file, namespace := range map[string]string{
		"rbac/role.yaml": "", "rbac/leader_election_role.yaml": operatorNamespace, "components/pull-secrets/role.yaml": "",
	} {
		data, err := os.ReadFile(filepath.Join(shared.root, "config", filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		var role rbacv1.ClusterRole // Of both kinds, only the rules count here.
		if err := yaml.Unmarshal(data, &role); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, rule := range role.Rules {
			addRule(given, rule, namespace)
		}
	}
	return slices.Sorted(maps.Keys(given)), nil
}

func addRule(given map[string]bool, rule rbacv1.PolicyRule, namespace string) {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					given[right(group, resource, verb, namespace, name)] = true
				}
			}
		}
	}
}

// period is from one moment to another.
type period struct{ from, to time.Time }

// requests lists what the operator asked for, and what of it was refused.
func requests() (used, refused []string, err error) {
	events, err := cluster.AuditEvents(shared.AuditLog, operatorUser)
	if err != nil {
		return nil, nil, err
	}
	asked, denied := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		switch {
		case e.Annotations["authorization.k8s.io/decision"] == "forbid":
			if slices.ContainsFunc(shared.starts, func(p period) bool {
				return e.RequestReceivedTimestamp.After(p.from) && e.RequestReceivedTimestamp.Before(p.to)
			}) {
				continue
			}
			denied[e.Verb+" "+e.RequestURI] = true
		case e.ObjectRef != nil:
			asked[rightOf(e)] = true
		}
	}
	return slices.Sorted(maps.Keys(asked)), slices.Sorted(maps.Keys(denied)), nil
}

// rightOf is what a request of an object needs.
func rightOf(e cluster.AuditEvent) string {
	o := e.ObjectRef
	resource := o.Resource
	if o.Subresource != "" {
		resource += "/" + o.Subresource
	}
	switch {
	case o.APIGroup == "coordination.k8s.io" && e.Verb != "create":
		return right(o.APIGroup, resource, e.Verb, o.Namespace, o.Name)
	case o.APIGroup == "coordination.k8s.io", o.APIGroup == "" && resource == "events":
		return right(o.APIGroup, resource, e.Verb, o.Namespace, "")
	}
	return right(o.APIGroup, resource, e.Verb, "", "")
}
