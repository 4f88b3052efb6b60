// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import "github.com/pull-access/pull-access-operator/internal/imageref"

// TroubleshootCommand returns a command that finds what blocks the account's access to the
// repository, "" if a shell must not run the names.
func TroubleshootCommand(repository imageref.Repository, account string) string {
	if repository.IsZero() || !project.MatchString(repository.Project) || !serviceAccount.MatchString(account) {
		return ""
	}
	return troubleshoot(Facts{Reference: imageref.Image{Repository: repository}, Puller: Puller{Email: account}})
}
