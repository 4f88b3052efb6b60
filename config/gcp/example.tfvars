# The names of the README: images in acme-images-306, nodes in acme-prod-417, the operator's account in acme-ops-204.
operator_project = "acme-ops-204"
cluster_project  = "acme-prod-417"
node_projects    = ["acme-prod-417"]

repositories = [
  { project = "acme-images-306", location = "us-central1", name = "services" },
]

# All repositories of a project that bear the tag, in place of the list or beside it.
tagged_projects = ["acme-teams-511"]
tag             = { key = "123456789012/pull-access", value = "allowed" }

# Takes the tag on services, too.
deny_untagged_in = ["projects/acme-images-306", "projects/acme-teams-511"]

read_images = true
