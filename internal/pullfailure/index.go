// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "bytes"

// index holds the rules by the hash of their first word and of the letters that
// the second and third begin with. Those of one slot stand side by side: slot i
// has rules[start[i]:start[i+1]].
type index struct {
	// known has a bit for each hash that a rule's words lead to, on the way too:
	// most words of a text lead nowhere.
	known [slots / 64]uint64
	start [slots + 1]uint16
	rules []rule
}

const (
	slotBits = 12
	slots    = 1 << slotBits
)

// rules is built once and never changed.
var rules = newIndex(
	frameRules, credentialRules, codeRules, cloudRules, refusalRules, absenceRules, loadRules,
	transportRules, tlsRules, cancelRules, nodeRules, contentRules, policyRules, kubeletRules, otherRules, hintRules,
)

func newIndex(tables ...[]rule) (in index) {
	var bySlot [slots][]rule
	for _, table := range tables {
		for _, r := range table {
			n := 0
			for n < len(r.words) && class[r.words[n]]&wordByte != 0 {
				n++
			}
			hash := hashWord([]byte(r.words[:n]))
			in.know(hash)
			for range lookAhead {
				n = nextWord([]byte(r.words), n)
				if n == len(r.words) {
					break
				}
				hash = hashNext(hash, r.words[n])
				in.know(hash)
			}
			slot := hash >> (32 - slotBits)
			bySlot[slot] = append(bySlot[slot], r)
		}
	}
	for i := range bySlot {
		in.rules = append(in.rules, bySlot[i]...)
		in.start[i+1] = uint16(len(in.rules))
	}
	return in
}

// lookAhead is how many words after the first are hashed.
const lookAhead = 2

// nextWord gives the start of the word after the one at low[i], or the end if
// there is none, or only one that no rule has.
func nextWord(low []byte, i int) int {
	const longest = 32
	for stop := min(len(low), i+longest); i < stop && !space(low[i]); i++ {
	}
	for i < len(low) && space(low[i]) {
		i++
	}
	if i < len(low) && class[low[i]]&wordByte == 0 {
		return len(low)
	}
	return i
}

// longestToken bounds what one rule may skip, and so the work at each word.
const longestToken = 512

// tokenLength is how much of low stands before white space.
func tokenLength(low []byte) int {
	low = low[:min(len(low), longestToken)]
	if n := bytes.IndexByte(low, ' '); n >= 0 {
		low = low[:n]
	}
	if n := bytes.IndexByte(low, '\n'); n >= 0 {
		return n
	}
	return len(low)
}

func (in *index) know(hash uint32) {
	slot := hash >> (32 - slotBits)
	in.known[slot/64] |= 1 << (slot % 64)
}

// knows tells whether there may be rules at this hash, or further on.
func (in *index) knows(hash uint32) bool {
	slot := hash >> (32 - slotBits)
	return in.known[slot/64]&(1<<(slot%64)) != 0
}

// at gives the rules that may match where the hash was taken.
func (in *index) at(hash uint32) []rule {
	slot := hash >> (32 - slotBits)
	return in.rules[in.start[slot]:in.start[slot+1]]
}

// hashWord is cheap rather than even: words that share a slot cost one comparison.
func hashWord(w []byte) uint32 {
	n := len(w)
	return uint32(w[0])*0x9e3779b1 ^ uint32(w[n/2])*0x85ebca6b ^ uint32(w[n-1])*0xc2b2ae35 ^ uint32(n)*0x27d4eb2f
}

func hashNext(hash uint32, next byte) uint32 { return (hash ^ uint32(next)) * 0x165667b1 }
