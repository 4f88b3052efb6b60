variable "operator_project" {
  description = "Project of the operator's own service account: best one that holds neither images nor nodes."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.operator_project))
    error_message = "operator_project must be the ID of a project."
  }
}

variable "cluster_project" {
  description = "Project of the GKE cluster that the operator runs in; its workload pool is PROJECT.svc.id.goog."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.cluster_project))
    error_message = "cluster_project must be the ID of a project without a domain."
  }
}

variable "repositories" {
  description = "Repositories that the operator may open: those that policies list, one by one."
  type = set(object({
    project  = string
    location = string
    name     = string
  }))
  default = []

  validation {
    condition = alltrue([
      for r in var.repositories :
      can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", r.project)) &&
      can(regex("^[a-z][a-z0-9-]{0,62}$", r.location)) &&
      can(regex("^[a-z][a-z0-9.-]{0,62}$", r.name))
    ])
    error_message = "Each of repositories must be named in full: project, location and name take no wildcard."
  }
}

variable "tagged_projects" {
  description = "Projects in which the operator may open every repository that bears the tag, also those that are yet to come."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for p in var.tagged_projects : can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", p))])
    error_message = "Each of tagged_projects must be the ID of a project."
  }
}

variable "tag" {
  description = "Resource tag of the repositories that may be opened: key as ORGANIZATION_NUMBER/KEY, and value. Null for none."
  type = object({
    key   = string
    value = string
  })
  default = null

  # What is not a name would end the expression of a condition, and begin another one.
  validation {
    condition = var.tag == null || (
      can(regex("^([0-9]+|[a-z][a-z0-9-]{4,28}[a-z0-9])/[A-Za-z0-9_.-]+$", var.tag.key)) &&
      can(regex("^[A-Za-z0-9_.-]+$", var.tag.value))
    )
    error_message = "tag must have a key such as 123456789012/pull-access and a value such as allowed."
  }
}

variable "deny_untagged_in" {
  description = "Where a deny policy keeps the operator from writing what bears no tag: organizations/N, folders/N or projects/ID."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for p in var.deny_untagged_in : can(regex("^((organizations|folders)/[0-9]+|projects/([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9])$", p))])
    error_message = "Each of deny_untagged_in must be organizations/N, folders/N or projects/ID."
  }
}

variable "node_projects" {
  description = "Projects whose Compute Engine instances are nodes: read to tell as whom a node pulls."
  type        = set(string)

  validation {
    condition     = alltrue([for p in var.node_projects : can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", p))])
    error_message = "Each of node_projects must be the ID of a project."
  }
}

variable "read_images" {
  description = "Lets the operator tell whether an image is there, and which comes nearest to a missing one."
  type        = bool
  default     = false
}

variable "read_project_policies" {
  description = "Lets the operator tell whether a project's policy, or a custom role, lets an account in already."
  type        = bool
  default     = false
}

variable "read_node_pools" {
  description = "Lets the operator ask GKE as whom a node pulls, where Compute Engine does not tell. It shows the whole cluster."
  type        = bool
  default     = false
}
