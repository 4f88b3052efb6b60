# The operator has no key: it acts as this account by Workload Identity. Annotate its Kubernetes service account with
# iam.gke.io/gcp-service-account and the output operator_email.
resource "google_service_account" "operator" {
  project      = var.operator_project
  account_id   = "pull-access-operator"
  display_name = "pull-access-operator"
}

# A workload pool is one for all clusters of a project: who can make a service account of this name and namespace in any
# of them becomes the operator. Keep its cluster in a project where nobody else makes clusters.
resource "google_service_account_iam_member" "workload_identity" {
  service_account_id = google_service_account.operator.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.cluster_project}.svc.id.goog[pull-access-system/pull-access-operator]"
}

output "operator_email" {
  description = "The operator's account, for the annotation of its Kubernetes service account."
  value       = google_service_account.operator.email
}
