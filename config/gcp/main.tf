# What the operator may do in Google Cloud, and nothing beside it. docs/google-cloud.md says why for each permission,
# docs/security.md what each fence is worth. Ready-made roles that hold setIamPolicy hold far more: none is used here.
#
#   terraform plan -var-file=example.tfvars

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

locals {
  operator = "serviceAccount:${google_service_account.operator.email}"

  # By a name that stays when others come and go, so that no binding is made anew for the sake of another.
  repositories = { for r in var.repositories : "${r.project}/${r.location}/${r.name}" => r }

  # A custom role of a project can be bound in that project only, so each that holds repositories has its own.
  image_projects = setunion([for r in var.repositories : r.project], var.tagged_projects)

  # Asked of the resource at each call. Whoever may put the tag on a repository decides what the operator can open.
  tagged = var.tag == null ? "" : "resource.matchTag('${var.tag.key}', '${var.tag.value}')"
}
