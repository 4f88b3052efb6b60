# Reading alone: as whom a node pulls, and with which OAuth scopes.
resource "google_project_iam_custom_role" "nodes" {
  for_each = var.node_projects

  project     = each.value
  role_id     = "pullAccessNodes"
  title       = "Pull access operator, nodes"
  description = "Reads which service account a node has."

  permissions = concat(
    ["compute.instances.get"],
    var.read_node_pools ? [
      "container.clusters.get",
      "resourcemanager.projects.get",
    ] : [],
  )
}

resource "google_project_iam_member" "nodes" {
  for_each = var.node_projects

  project = each.value
  role    = google_project_iam_custom_role.nodes[each.value].name
  member  = local.operator
}
