// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"bytes"
	"encoding/base64"
	"slices"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// claims keeps apart what our own writes did and what others did, when a write
// seemed to fail: who added a member decides who may take it out again.
type claims struct {
	// pending is the last write of unknown outcome, pendingEtag what it was sent under.
	pending     *iampolicy.Change
	pendingEtag []byte
	// done is what such writes turned out to have done; etag is that of the last one.
	done iampolicy.Change
	etag string
}

// open notes a write of unknown outcome.
func (c *claims) open(etag []byte, change iampolicy.Change) {
	c.pending, c.pendingEtag = &change, etag
}

// any tells whether a write was sent of which the outcome is open, or turned out
// to have been done.
func (c *claims) any() bool {
	return c.pending != nil || len(c.done.Added)+len(c.done.Removed) > 0
}

// settle judges the pending write by the policy read after it, and by what is
// left to change there. While the etag is the old one it may still take effect;
// once it is another, all of the write is there or none of it ever will be.
func (c *claims) settle(etag []byte, left iampolicy.Change) {
	if c.pending == nil || bytes.Equal(etag, c.pendingEtag) {
		return
	}
	if subset(c.pending.Added, left.Found) && subset(c.pending.Removed, left.Absent) {
		c.done.Added = append(c.done.Added, c.pending.Added...)
		c.done.Removed = append(c.done.Removed, c.pending.Removed...)
		c.etag = base64.StdEncoding.EncodeToString(c.pendingEtag)
	}
	c.pending = nil
}

// count gives change with what our own writes did counted as ours.
func (c *claims) count(change iampolicy.Change) iampolicy.Change {
	added, found := split(change.Found, c.done.Added)
	removed, absent := split(change.Absent, c.done.Removed)
	return iampolicy.Change{
		Added: slices.Concat(added, change.Added), Found: found,
		Removed: slices.Concat(removed, change.Removed), Absent: absent,
	}
}

// split parts members into those of ours and the others.
func split(members, ours []string) (mine, others []string) {
	for _, member := range members {
		if slices.Contains(ours, member) {
			mine = append(mine, member)
		} else {
			others = append(others, member)
		}
	}
	return mine, others
}

func subset(members, of []string) bool {
	return !slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(of, m) })
}
