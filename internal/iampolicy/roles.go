// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

// googleRoles says of roles of Google's whether they hold
// artifactregistry.repositories.downloadArtifacts. It spares a look-up of those
// that are bound most; a role that is missing is looked up.
// https://cloud.google.com/iam/docs/roles-permissions/artifactregistry
var googleRoles = map[string]bool{
	Role:                                                     true,
	"roles/artifactregistry.viewer":                          true,
	"roles/artifactregistry.editor":                          true,
	"roles/artifactregistry.writer":                          true,
	"roles/artifactregistry.repoAdmin":                       true,
	"roles/artifactregistry.admin":                           true,
	"roles/artifactregistry.serviceAgent":                    true,
	"roles/artifactregistry.createOnPushWriter":              true,
	"roles/artifactregistry.createOnPushRepoAdmin":           true,
	"roles/artifactregistry.containerRegistryMigrationAdmin": true,

	"roles/viewer": true,
	"roles/editor": true,
	"roles/owner":  true,

	"roles/appengine.appAdmin":               true,
	"roles/appengine.deployer":               true,
	"roles/cloudbuild.builds.builder":        true,
	"roles/cloudfunctions.admin":             true,
	"roles/cloudfunctions.developer":         true,
	"roles/composer.worker":                  true,
	"roles/firebase.admin":                   true,
	"roles/firebaseapphosting.computeRunner": true,
	"roles/iam.dataScientist":                true,
	"roles/iam.devOps":                       true,
	"roles/iam.securityAuditor":              true,
	"roles/iam.supportUser":                  true,
	"roles/run.builder":                      true,
	"roles/run.sourceDeveloper":              true,

	// What GKE's pages tell to give to node accounts does not pull by itself.
	// https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster
	"roles/autoscaling.metricsWriter":           false,
	"roles/container.defaultNodeServiceAccount": false,
	"roles/container.nodeServiceAccount":        false,
	"roles/logging.logWriter":                   false,
	"roles/monitoring.metricWriter":             false,
	"roles/monitoring.viewer":                   false,
	"roles/stackdriver.resourceMetadata.writer": false,
	"roles/storage.objectViewer":                false,
}
