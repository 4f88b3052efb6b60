// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"
)

// Hash identifies what an IAM policy says: it ignores the etag, the version, and the
// order of bindings and members. It is SHA-256 in hexadecimal digits.
func Hash(policy *iampb.Policy) string {
	canonical := proto.CloneOf(cmp.Or(policy, &iampb.Policy{}))
	canonical.Etag, canonical.Version = nil, 0
	encoded := make(map[*iampb.Binding][]byte, len(canonical.GetBindings()))
	for _, binding := range canonical.GetBindings() {
		slices.Sort(binding.GetMembers())
		encoded[binding] = encode(binding)
	}
	slices.SortFunc(canonical.Bindings, func(a, b *iampb.Binding) int { return bytes.Compare(encoded[a], encoded[b]) })
	sum := sha256.Sum256(encode(canonical))
	return hex.EncodeToString(sum[:])
}

// encode gives the same bytes for the same message. Messages of an IAM policy always
// encode.
func encode(message proto.Message) []byte {
	encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	return encoded
}
