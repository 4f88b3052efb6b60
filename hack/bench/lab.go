// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

const (
	operatorName      = cluster.OperatorName
	operatorNamespace = cluster.OperatorNamespace
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":" + operatorName
	// plainUser is whom the API server sees when the plain manager speaks, kubeletsUser when the kubelets do, and guestUser when
	// a person measures something else on a cluster that is held.
	plainUser    = "plain"
	kubeletsUser = "kubelets"
	guestUser    = "guest"

	protobuf = runtime.ContentTypeProtobuf

	// memoryLimit and garbageShare are the variables that control Go's garbage collector.
	memoryLimit, garbageShare = "GOMEMLIMIT", "GOGC"
)

// lab is a cluster on which the operator is installed, without running there.
type lab struct {
	*cluster.Cluster
	client client.Client
	typed  kubernetes.Interface
	// operator is the kubeconfig that holds the operator's own token.
	operator string
	// metrics reads the operator's /metrics.
	metrics *http.Client
	// kubelets reaches the API server as the kubelets do: with the priority of nodes, and not of an administrator.
	kubelets *rest.Config
}

// startLab starts a cluster and does what users do to install the operator, whose pods it then takes away: the benchmark runs
// the operator as a process. Whoever starts it must call Stop.
func startLab(ctx context.Context, options cluster.Options) (*lab, error) {
	options.AuditUsers = []string{operatorUser, plainUser, guestUser}
	started, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	l := &lab{Cluster: started}
	// The benchmark runs in the project's folder.
	install := func(ctx context.Context) (err error) {
		if err = l.InstallOperator(ctx, "."); err != nil {
			return err
		}
		l.metrics, err = l.MetricsClient(ctx)
		return err
	}
	for _, step := range []func(context.Context) error{l.connect, install, l.admitKubelets} {
		if err := step(ctx); err != nil {
			started.Stop()
			return nil, err
		}
	}
	return l, nil
}

func (l *lab) connect(context.Context) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	var err error
	if l.client, err = client.New(l.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	config := rest.CopyConfig(l.Config)
	config.ContentType, config.AcceptContentTypes = protobuf, protobuf
	l.typed, err = kubernetes.NewForConfig(config)
	return err
}

// admitKubelets makes the user that speaks for all kubelets at once.
func (l *lab) admitKubelets(ctx context.Context) error {
	path, err := l.UserKubeconfig(kubeletsUser, "system:nodes")
	if err != nil {
		return err
	}
	if l.kubelets, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
		return err
	}
	l.kubelets.QPS = -1
	l.kubelets.ContentType, l.kubelets.AcceptContentTypes = protobuf, protobuf
	err = l.client.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: kubeletsUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: kubeletsUser}},
	})
	if err != nil {
		return fmt.Errorf("admit the kubelets: %w", err)
	}
	return nil
}

// startOperator starts the operator with the rights of its own service account and with the memory settings of
// config/manager.
func (l *lab) startOperator(ctx context.Context, manager, endpoint, name string, args ...string) (*program, error) {
	if l.operator == "" {
		var err error
		if l.operator, err = l.ServiceAccountKubeconfig(ctx, operatorNamespace, operatorName); err != nil {
			return nil, err
		}
	}
	var installed appsv1.Deployment
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, &installed); err != nil {
		return nil, fmt.Errorf("read how the operator is installed: %w", err)
	}
	env := os.Environ()
	for _, v := range installed.Spec.Template.Spec.Containers[0].Env {
		if v.Name == memoryLimit || v.Name == garbageShare {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	args = append([]string{"--kubeconfig=" + l.operator, "--gcp-endpoint=" + endpoint}, args...)
	p, err := launch(ctx, manager, filepath.Join(l.Dir, "logs", name+".log"), env, args...)
	if err != nil {
		return nil, err
	}
	p.metrics = l.metrics
	return p, nil
}
