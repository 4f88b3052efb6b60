# A deny policy outweighs every role, also one that somebody gives the account by mistake. Its condition can ask for tags
# and nothing else, so repositories that are bound one by one must bear the tag as well.
resource "google_iam_deny_policy" "untagged" {
  for_each = var.deny_untagged_in

  parent       = urlencode("cloudresourcemanager.googleapis.com/${each.value}")
  name         = "pull-access-operator"
  display_name = "pull-access-operator writes tagged repositories only"

  rules {
    description = "The operator's account changes no policy of a repository without the tag."

    deny_rule {
      denied_principals  = ["principal://iam.googleapis.com/projects/-/serviceAccounts/${google_service_account.operator.email}"]
      denied_permissions = ["artifactregistry.googleapis.com/repositories.setIamPolicy"]

      denial_condition {
        title      = "not-tagged"
        expression = "!${local.tagged}"
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.tag != null
      error_message = "deny_untagged_in needs a tag."
    }
  }
}
