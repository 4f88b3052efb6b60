// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// invite tells how to go on with what is running.
func (l *lab) invite() {
	repository := fmt.Sprintf("services --project=%s --location=%s", imageProject, location)
	url := l.cloud.URL()
	l.step("All of it keeps running until Ctrl-C; in another terminal:")
	l.block(fmt.Sprintf(`
export KUBECONFIG=%s
export PATH=%s:$PATH            # kubectl of the cluster's own release
export CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY=%s/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true

# Watch what happens, as the operator tells it and as it logs it.
kubectl get events --all-namespaces --watch --field-selector=reportingComponent=%s
tail -f %s

# Take the access back, and see that the member is gone from the repository's policy. The mistyped Deployment goes
# first: with the access gone it would be denied as well, and the operator would grant it again at once.
kubectl --namespace=%s delete deployment %s
kubectl delete pag --all
gcloud artifacts repositories get-iam-policy %s
curl %s/v1/%s:getIamPolicy

# When that has spread (%s), break the Deployment again: the operator grants the access anew and restarts it.
kubectl --namespace=%s rollout restart deployment/%s

# Only say what would be done: after this, take the access back and break the Deployment once more.
kubectl patch pap %s --type=merge --patch='{"spec":{"mode":"DryRun"}}'

# Let the policy open the repository of Deployment %s too, and see it come up.
kubectl patch pap %s --type=json --patch='[{"op":"add","path":"/spec/repositories/-","value":{"project":"%s","location":"%s","name":"payments"}}]'

# What the operator counts.
curl --silent --insecure --header "Authorization: Bearer $(kubectl create token %s)" https://%s/metrics | grep ^pullaccess_
`,
		l.cluster.Kubeconfig, filepath.Dir(l.cluster.KubectlPath), url, operatorName, l.operatorLog(),
		shopNamespace, mistyped, repository, url, repositoryName("services"), propagation, shopNamespace, healed,
		policyName, fenced, policyName, imageProject, location, cluster.MetricsAccount, l.operator.Metrics))
}
