// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "strings"

// fold copies text in lower case, byte for byte, so that offsets stay true.
// White space other than newlines, and control characters, become spaces;
// escapes (\n, \", \u003c) become what they stand for, after spaces.
func fold(text string) []byte {
	low := []byte(text)
	for i, c := range low {
		low[i] = folded[c]
	}
	for i := strings.IndexByte(text, '\\'); i >= 0 && i+1 < len(text); {
		i += unescape(low[i:])
		next := strings.IndexByte(text[i:], '\\')
		if next < 0 {
			break
		}
		i += next
	}
	return low
}

var folded = func() (table [256]byte) {
	for c := range table {
		switch {
		case 'A' <= c && c <= 'Z':
			table[c] = byte(c) + 'a' - 'A'
		case c <= ' ' && c != '\n' || c == 0x7f:
			table[c] = ' '
		default:
			table[c] = byte(c)
		}
	}
	return table
}()

// unescape resolves the escape at the start of low in its own place, and gives
// its length.
func unescape(low []byte) int {
	n, c := 2, byte(' ')
	switch low[1] {
	case '"', '\'':
		c = low[1]
	case 'n':
		c = '\n'
	case 'r', 't', '\\':
	case 'u':
		if n = 6; len(low) < n || low[2] != '0' || low[3] != '0' {
			return 1
		}
		c = folded[hexByte(low[4], low[5])]
	default:
		return 1
	}
	for i := range low[:n-1] {
		low[i] = ' '
	}
	low[n-1] = c
	return n
}

// hexByte reads two hexadecimal digits in lower case; what is no ASCII is a space.
func hexByte(hi, lo byte) byte {
	const digits = "0123456789abcdef"
	value := strings.IndexByte(digits, hi)*len(digits) + strings.IndexByte(digits, lo)
	if value <= ' ' || value >= 0x7f {
		return ' '
	}
	return byte(value)
}

// What a byte of a folded text may be part of.
const (
	wordByte  = 1 << iota // A word: letters and digits.
	nameByte              // A token that may be a name: all but space, quotes, brackets and separators.
	joinByte              // A byte after which a new word is part of the same name.
	slashByte             // A byte that makes a name of the words on both sides.
	stopByte              // A byte that ends a sentence, and no name.
)

var class = func() (table [256]byte) {
	for c := range table {
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if letter {
			table[c] |= wordByte
		}
		if c > ' ' && c != 0x7f && !strings.ContainsRune("\"'`<>()[]{},;|", rune(c)) {
			table[c] |= nameByte
		}
		if letter || strings.ContainsRune("-_.%@:/", rune(c)) {
			table[c] |= joinByte
		}
		if strings.ContainsRune("/%@:", rune(c)) {
			table[c] |= slashByte
		}
		if strings.ContainsRune(":.!?", rune(c)) {
			table[c] |= stopByte
		}
	}
	return table
}()

func space(c byte) bool { return c == ' ' || c == '\n' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
