// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// kinds are what a look goes through, in this order. The pods come last: they are
// the most, and the look is over as soon as every grant is seen to be in use.
var kinds = []func() client.ObjectList{
	func() client.ObjectList { return &appsv1.DeploymentList{} },
	func() client.ObjectList { return &appsv1.StatefulSetList{} },
	func() client.ObjectList { return &appsv1.DaemonSetList{} },
	func() client.ObjectList { return &batchv1.CronJobList{} },
	func() client.ObjectList { return &batchv1.JobList{} },
	func() client.ObjectList { return &appsv1.ReplicaSetList{} },
	func() client.ObjectList { return &corev1.PodList{} },
}

// look is one look at all workloads and pods, as far as it has come. It holds the
// grants that it is about and what one page left to ask, and no more, however
// large the cluster is.
type look struct {
	// start is when it began, in whole seconds as the record has them.
	start time.Time
	// used tells of each granted repository and member whether a use was seen.
	used map[imageref.Repository]map[string]bool
	// kind and token say which page is next.
	kind  int
	token string
	size  workload.PageSize
	// asks are the nodes of the last page whose account is still to be asked for.
	asks map[pull]struct{}
}

// pull is a node with a pod that refers to a granted repository.
type pull struct {
	node       string
	repository imageref.Repository
}

// newLook begins a look at now. It is about the grants of before: what is written
// while it goes on it may have missed.
func newLook(grants []v1alpha1.PullAccessGrant, now time.Time) *look {
	l := &look{start: now.Truncate(time.Second), used: map[imageref.Repository]map[string]bool{}, asks: map[pull]struct{}{}}
	for i := range grants {
		g := &grants[i]
		if !grantedBefore(g, l.start) {
			continue
		}
		repository := imageref.Of(g.Spec.Repository)
		if l.used[repository] == nil {
			l.used[repository] = map[string]bool{}
		}
		l.used[repository][g.Spec.Member] = false
	}
	return l
}

// grantedBefore tells whether the grant has been in force since before start. The
// record keeps whole seconds: one that was written in the very second was not.
func grantedBefore(g *v1alpha1.PullAccessGrant, start time.Time) bool {
	return grantstatus.Granted(g) && g.DeletionTimestamp == nil && g.Status.GrantedTime != nil && g.Status.GrantedTime.Time.Before(start)
}

// finding is whether the grant is in use; about is false if this look does not know.
func (l *look) finding(g *v1alpha1.PullAccessGrant) (used, about bool) {
	used, about = l.used[imageref.Of(g.Spec.Repository)][g.Spec.Member]
	return used, about && grantedBefore(g, l.start)
}

// over tells whether the look has nothing more to learn.
func (l *look) over() bool {
	if l.kind == len(kinds) && len(l.asks) == 0 {
		return true
	}
	for repository := range l.used {
		if l.open(repository) {
			return false
		}
	}
	return true
}

// open tells whether a use of the repository would be news.
func (l *look) open(repository imageref.Repository) bool {
	for _, used := range l.used[repository] {
		if !used {
			return true
		}
	}
	return false
}

// take learns from one object. What it does not know of is an error: passed over,
// it would count as no use.
func (l *look) take(object client.Object) error {
	switch o := object.(type) {
	case *appsv1.Deployment:
		l.template(&o.Spec.Template)
	case *appsv1.StatefulSet:
		l.template(&o.Spec.Template)
	case *appsv1.DaemonSet:
		l.template(&o.Spec.Template)
	case *batchv1.CronJob:
		l.template(&o.Spec.JobTemplate.Spec.Template)
	case *batchv1.Job:
		l.template(&o.Spec.Template)
	case *appsv1.ReplicaSet:
		if !ofDeployment(o) {
			l.template(&o.Spec.Template)
		}
	case *corev1.Pod:
		l.pod(o)
	default:
		return fmt.Errorf("whether %T uses a repository is not known", object)
	}
	return nil
}

// ofDeployment tells whether a Deployment controls the ReplicaSet: its template is
// then one of the Deployment's, and mostly an old one.
func ofDeployment(set *appsv1.ReplicaSet) bool {
	controller := metav1.GetControllerOf(set)
	return controller != nil && controller.Kind == workload.Deployment && controller.APIVersion == appsv1.SchemeGroupVersion.String()
}

// template counts as a use by every member: its pods may come to any node.
func (l *look) template(template *corev1.PodTemplateSpec) {
	for _, repository := range workload.Repositories(&template.Spec) {
		l.usedByAll(repository)
	}
}

// pod counts as a use by its node's account, whatever its phase: a pod that is
// over may be restarted, and one without a node may come to any.
func (l *look) pod(pod *corev1.Pod) {
	for _, repository := range workload.Repositories(&pod.Spec) {
		switch {
		case !l.open(repository):
		case pod.Spec.NodeName == "":
			l.usedByAll(repository)
		default:
			l.asks[pull{node: pod.Spec.NodeName, repository: repository}] = struct{}{}
		}
	}
}

// usedBy counts what a node pulls as a use by its account. An account that is not
// known may be any.
func (l *look) usedBy(repository imageref.Repository, puller diagnosis.Puller) {
	member := puller.Member()
	switch {
	case puller.State == diagnosis.Missing: // The node pulls as nobody.
	case member == "":
		l.usedByAll(repository)
	default:
		if _, granted := l.used[repository][member]; granted {
			l.used[repository][member] = true
		}
	}
}

func (l *look) usedByAll(repository imageref.Repository) {
	for member := range l.used[repository] {
		l.used[repository][member] = true
	}
}
