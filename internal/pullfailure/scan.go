// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bytes"
	"strings"
)

// scanner reads one text, once, from left to right.
type scanner struct {
	text string
	low  []byte
	// image is the pod's reference when it is a bare word; others are known by their form.
	image string
	// nameStart and nameEnd are where the last name stands.
	nameStart, nameEnd int
	record
}

// scan takes the text token by token. Names are cut out: no rule sees what an
// image, a path or a URL is called.
func (s *scanner) scan() {
	low := s.low
	for i := 0; i < len(low); {
		if class[low[i]]&nameByte == 0 {
			i++
			continue
		}
		start, common, seen := i, byte(wordByte), byte(0)
		for ; i < len(low); i++ {
			c := class[low[i]]
			if c&nameByte == 0 {
				break
			}
			common &= c
			seen |= c
		}
		switch {
		case s.image != "" && s.bareImage(start, i), seen&slashByte != 0 && s.name(start, i):
		case common&wordByte != 0:
			s.scanWord(start, i)
		default:
			s.scanWords(start, i)
		}
	}
}

// name tells whether the token is a name: it has a slash, a colon or the like
// within, and is none of the few words that have.
func (s *scanner) name(start, end int) bool {
	end = s.trim(start, end)
	for i := start; i < end; i++ {
		if class[s.low[i]]&slashByte == 0 {
			continue
		}
		switch string(s.low[start:end]) {
		case "i/o", "net/http", "username/password", "archive/tar":
			return false
		}
		s.nameStart, s.nameEnd = start, end
		return true
	}
	return false
}

// bareImage tells whether the token is the pod's image, named without registry and tag.
func (s *scanner) bareImage(start, end int) bool {
	return s.text[start:s.trim(start, end)] == s.image
}

// trim gives the end of a token without the punctuation of its sentence.
func (s *scanner) trim(start, end int) int {
	for end > start && class[s.low[end-1]]&stopByte != 0 {
		end--
	}
	return end
}

// scanWords tries the rules at each word of a token that begins no name within it.
func (s *scanner) scanWords(start, end int) {
	if end-start >= 3 && string(s.low[end-3:end]) == "..." {
		s.marks |= unlikely // Somebody left something out.
	}
	for i := start; i < end; {
		if class[s.low[i]]&wordByte == 0 {
			i++
			continue
		}
		from := i
		for i < end && class[s.low[i]]&wordByte != 0 {
			i++
		}
		if from == start || class[s.low[from-1]]&joinByte == 0 {
			s.scanWord(from, i)
		}
	}
}

// scanWord tries the rules that begin with the word at low[start:end].
func (s *scanner) scanWord(start, end int) {
	if end-start == 3 && digit(s.low[start]) {
		s.scanStatus(start)
		return
	}
	hash := hashWord(s.low[start:end])
	for range lookAhead {
		if !rules.knows(hash) {
			return
		}
		s.try(rules.at(hash), start)
		if end = nextWord(s.low, end); end == len(s.low) {
			return
		}
		hash = hashNext(hash, s.low[end])
	}
	s.try(rules.at(hash), start)
}

func (s *scanner) try(candidates []rule, i int) {
	for k := range candidates {
		r := &candidates[k]
		if r.place == afterURL && !s.afterName(i) {
			continue
		}
		if end := match(r, s.low, i); end >= 0 {
			s.take(r.causes, r.rank, r.marks, i, end)
			if r.rank >= transport && s.afterName(i) {
				s.unanswered(s.serverBefore(i))
			}
		}
	}
}

// afterName tells whether the last name stands right before low[i].
func (s *scanner) afterName(i int) bool { return s.nameEnd > 0 && i-s.nameEnd < 8 }

// cutAfter is how much of a rule's words must be there when the text ends within them.
const cutAfter = 12

// match gives the end of r's words at low[i:], or -1.
func match(r *rule, low []byte, i int) int {
	start, words := i, r.words
	for k := 0; k < len(words); k++ {
		c := words[k]
		if c > '*' && i < len(low) && low[i] == c {
			i++
			continue
		}
		if i == len(low) && r.rank >= transport && k >= cutAfter {
			return i
		}
		n := skip(low[i:], c)
		if n == 0 {
			return -1
		}
		i += n
	}
	if midWord(low, i) || r.place != anywhere && !(codeStarts(low, start) && codeEnds(low, i)) {
		return -1
	}
	return i
}

// skip is how much of low one byte of a rule's words stands for.
func skip(low []byte, c byte) (n int) {
	switch c {
	case ' ':
		for n < len(low) && space(low[n]) {
			n++
		}
	case '*':
		n = tokenLength(low)
	default:
		if len(low) > 0 && low[0] == c {
			n = 1
		}
	}
	return n
}

// midWord tells whether low[i] goes on with the word before it.
func midWord(low []byte, i int) bool {
	return i < len(low) && class[low[i]]&wordByte != 0 && class[low[i-1]]&wordByte != 0
}

// codeStarts tells whether an error code may stand at low[i]: at the start of
// the text or of a line, after a colon, or as a value.
func codeStarts(low []byte, i int) bool {
	for i--; i >= 0; i-- {
		switch low[i] {
		case ' ', '"', '[', '*':
		case ':', '=', '\n':
			return true
		case '.':
			return i >= 2 && string(low[i-2:i]) == ".." // Somebody left out what stood before.
		case ellipsis[len(ellipsis)-1]:
			return i >= 2 && string(low[i-2:i+1]) == ellipsis
		default:
			return false
		}
	}
	return true
}

// codeEnds tells whether an error code may end before low[i].
func codeEnds(low []byte, i int) bool {
	rest := bytes.TrimLeft(low[i:min(len(low), i+8)], `" `)
	switch {
	case len(rest) == 0:
		return true
	case rest[0] == ':':
		return len(rest) == 1 || class[rest[1]]&nameByte == 0
	case rest[0] == '.':
		return len(rest) == 1 || space(rest[1])
	}
	return strings.IndexByte("\n,];}'", rest[0]) >= 0
}
