// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "bytes"

// A rule ties words to what they mean.
type rule struct {
	// words match from a word's start to a word's end, across any white space.
	// A * stands for the rest of a token, or for a whole one.
	words  string
	causes causeSet
	rank   rank
	marks  mark
	// inPlace: only where an error code stands, not in a sentence.
	inPlace bool
}

// A rank is how much a rule's words settle; the highest of an attempt wins.
type rank uint8

const (
	// mute rules only set marks.
	mute rank = iota
	// hint: the text is about a failed pull, and says no more.
	hint
	// weak: a stage that failed, or the kind that a runtime gives an error; no answer is quoted.
	weak
	// word: ordinary words of a registry or runtime.
	word
	// status: an HTTP status code in its place.
	status
	// lesserCode and code: error codes of the registry protocol in their place.
	lesserCode
	code
	// sentence: words that one registry, or the cloud, uses for one thing.
	sentence
	// transport: error shapes of the network and TLS libraries, where no answer
	// came, and the cloud's own refusals, whatever code they come with.
	transport
	// beyond: one of the former that holds the words of another.
	beyond
	// node: the node's own trouble with an image that it has read.
	node
	// kubelet: the kubelet's own decision, made without the runtime.
	kubelet
)

// A mark is what a rule says beside a cause.
type mark uint16

const (
	// opens: another attempt begins here, if the current one has said anything.
	opens mark = 1 << iota
	// again: what follows repeats the pull as another kind of artifact.
	again
	// many: attempts at several registries follow, not several at one image.
	many
	// pulls: the text is about pulling an image.
	pulls
	// other: the text is about something else.
	other
	// elsewhere: it was about something else before it was about pulling.
	elsewhere
	// decisive: it is about an image, whatever came before.
	decisive
	// sent and notSent: a credential was, or was not, part of the request.
	sent
	notSent
	// asked: a token was asked for; unless sent, the text may have lost by whom.
	asked
	// iam: the registry names the permission that the caller lacks.
	iam
	// explained: the registry gives a reason in words of its own.
	explained
	// unlikely: a grant on the image's repository can't be what is missing.
	unlikely
)

// index holds the rules by the hash of their first word and of the letters that
// the second and third begin with. Those of one slot stand side by side: slot i
// has rules[start[i]:start[i+1]].
type index struct {
	// known has a bit for each first word: most words of a text are none.
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
	transportRules, tlsRules, cancelRules, nodeRules, contentRules, policyRules, kubeletRules, otherRules,
)

func newIndex(tables ...[]rule) *index {
	in := &index{}
	var bySlot [slots][]rule
	for _, table := range tables {
		for _, r := range table {
			n := 0
			for n < len(r.words) && class[r.words[n]]&wordByte != 0 {
				n++
			}
			hash := hashWord([]byte(r.words[:n]))
			first := hash >> (32 - slotBits)
			in.known[first/64] |= 1 << (first % 64)
			for range lookAhead {
				n = nextWord([]byte(r.words), n)
				if n == len(r.words) || class[r.words[n]]&wordByte == 0 {
					break
				}
				hash = hashNext(hash, r.words[n])
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

// nextWord gives the start of the word after the one at low[i], or the end.
func nextWord(low []byte, i int) int {
	i += tokenLength(low[i:])
	for i < len(low) && space(low[i]) {
		i++
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

// knows tells whether rules may begin with the word that has this hash.
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

// say makes rules of the same meaning for words that may stand anywhere.
func say(causes causeSet, rank rank, marks mark, words ...string) []rule {
	list := make([]rule, len(words))
	for i, w := range words {
		list[i] = rule{words: w, causes: causes, rank: rank, marks: marks}
	}
	return list
}

// sayInPlace makes rules for words that count only where an error code stands.
func sayInPlace(causes causeSet, rank rank, marks mark, words ...string) []rule {
	list := say(causes, rank, marks, words...)
	for i := range list {
		list[i].inPlace = true
	}
	return list
}
