// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

// The clauses say what becomes of the member when its grant ends.
const (
	// NothingWritten is the clause for a member that was never added.
	NothingWritten = "nothing of it is in the repository's policy."
	// MemberNotOurs is the clause for a member that the operator did not add.
	MemberNotOurs = "the member stays in the repository's policy, as the operator had not added it."
	// MemberRemoved is the clause for a member that the operator removed.
	MemberRemoved = "the operator took the member out of the repository's policy."
)

// MemberKeptForOthers is the clause for a member that other clusters may need. command
// removes it by hand.
func MemberKeptForOthers(command string) string {
	return "the member stays in the repository's policy, as other clusters may need it; where none does, take it out by hand (" + command + ")."
}
