# Who holds setIamPolicy on a repository can let anybody into it. So it goes to single repositories, or to those that bear
# a tag, and never to a project as such.
resource "google_project_iam_custom_role" "repositories" {
  for_each = local.image_projects

  project     = each.value
  role_id     = "pullAccessOperator"
  title       = "Pull access operator"
  description = "Reads and changes who may use a repository."

  permissions = concat(
    [
      "artifactregistry.repositories.get",
      "artifactregistry.repositories.getIamPolicy",
      "artifactregistry.repositories.setIamPolicy",
    ],
    var.read_images ? [
      "artifactregistry.packages.list",
      "artifactregistry.tags.get",
      "artifactregistry.versions.get",
      "artifactregistry.versions.list",
    ] : [],
  )
}

# The first way: one binding for each repository. What is not listed cannot be touched.
resource "google_artifact_registry_repository_iam_member" "operator" {
  for_each = local.repositories

  project    = each.value.project
  location   = each.value.location
  repository = each.value.name
  role       = google_project_iam_custom_role.repositories[each.value.project].name
  member     = local.operator
}

# The other way: one binding for each project, that counts only where a repository bears the tag.
resource "google_project_iam_member" "tagged" {
  for_each = var.tagged_projects

  project = each.value
  role    = google_project_iam_custom_role.repositories[each.value].name
  member  = local.operator

  condition {
    title       = "tagged-repositories"
    description = "Only repositories that bear the tag."
    expression  = local.tagged
  }

  lifecycle {
    precondition {
      condition     = var.tag != null
      error_message = "tagged_projects need a tag."
    }
  }
}

# Reading alone: the policy of a project, and what its custom roles hold. Roles of the organization stay unknown.
resource "google_project_iam_custom_role" "project" {
  for_each = var.read_project_policies ? local.image_projects : toset([])

  project     = each.value
  role_id     = "pullAccessProject"
  title       = "Pull access operator, project"
  description = "Reads who is let in by the project's own policy."

  permissions = [
    "iam.roles.get",
    "resourcemanager.projects.getIamPolicy",
  ]
}

resource "google_project_iam_member" "project" {
  for_each = google_project_iam_custom_role.project

  project = each.value.project
  role    = each.value.name
  member  = local.operator
}
