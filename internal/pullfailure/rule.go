// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

// A rule ties words to what they mean.
type rule struct {
	// words match from a word's start to a word's end, across any white space.
	// A * stands for the rest of a token, or for a whole one.
	words  string
	causes causeSet
	rank   rank
	marks  mark
	place  place
}

// A place is where a rule's words must stand to mean it.
type place uint8

const (
	// anywhere: the words mean the same in a sentence.
	anywhere place = iota
	// asCode: where an error code stands, not in a sentence.
	asCode
	// afterURL: right after a URL, where net/http puts what became of the request.
	afterURL
)

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
	// atToken: it was the token endpoint that was asked.
	atToken
	// silent: the runtime never says by whom it asked.
	silent
	// iam: the registry names the permission that the caller lacks.
	iam
	// explained: the registry gives a reason in words of its own.
	explained
	// upstream: the registry speaks of one behind it.
	upstream
	// unlikely: a grant on the image's repository can't be what is missing.
	unlikely
)

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
	return sayAt(asCode, causes, rank, marks, words...)
}

func sayAt(place place, causes causeSet, rank rank, marks mark, words ...string) []rule {
	list := say(causes, rank, marks, words...)
	for i := range list {
		list[i].place = place
	}
	return list
}
