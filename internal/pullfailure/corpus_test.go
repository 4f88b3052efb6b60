// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// labelled is one text of which the cause is known.
type labelled struct {
	name       string
	text       Text
	cause      Cause
	candidates []Cause
}

// right follows the text's label; of an ambiguous one, any candidate will do.
func (l labelled) right(v Verdict) bool {
	return v.Cause == l.cause || l.cause == Ambiguous && slices.Contains(l.candidates, v.Cause)
}

// falseRepair tells whether a grant would be tried for a text that does not ask for it.
func (l labelled) falseRepair(v Verdict) bool {
	return v.Repairable() && (l.cause != PermissionDenied && !slices.Contains(l.candidates, PermissionDenied) || !google(l.text.Image))
}

// readTexts reads testdata/RUNTIME/CAUSE.txt: texts that containerd, CRI-O,
// docker and the kubelet produced against a registry that played one fault an
// image. A line "== FAULT | VERSIONS | REASON | IMAGE" stands before each.
func readTexts(tb testing.TB) []labelled {
	tb.Helper()
	var texts []labelled
	err := filepath.WalkDir("testdata", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		cause := Cause(strings.TrimSuffix(entry.Name(), ".txt"))
		if !slices.Contains(Causes(), cause) {
			tb.Errorf("%s: there is no cause %q", path, cause)
		}
		for _, block := range strings.Split(strings.TrimPrefix(string(content), "== "), "\n== ") {
			header, message, ok := strings.Cut(block, "\n")
			fields := strings.Split(header, " | ")
			if !ok || len(fields) < 4 {
				tb.Fatalf("%s: unreadable header %q", path, header)
			}
			l := labelled{
				name:  filepath.Base(filepath.Dir(path)) + " " + fields[1] + " " + fields[0],
				text:  Text{Message: strings.TrimSuffix(message, "\n"), Reason: fields[2], Image: fields[3]},
				cause: cause,
			}
			if len(fields) > 4 {
				for _, candidate := range strings.Fields(strings.TrimPrefix(fields[4], "candidates ")) {
					l.candidates = append(l.candidates, Cause(candidate))
				}
			}
			texts = append(texts, l)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return texts
}

func TestTextsOfRuntimes(t *testing.T) {
	texts := readTexts(t)
	if len(texts) < 300 {
		t.Fatalf("only %d texts found", len(texts))
	}
	repairable := 0
	for _, l := range texts {
		v := Classify(l.text)
		if !l.right(v) {
			t.Errorf("%s: %s on %q, want %s of\n%s", l.name, v.Cause, v.Evidence, l.cause, l.text.Message)
		}
		if l.falseRepair(v) {
			t.Errorf("%s: %s must not be repaired:\n%s", l.name, l.cause, l.text.Message)
		}
		if v.Repairable() {
			repairable++
		}
		if v.Cause != BackOff && v.Evidence == "" {
			t.Errorf("%s: %s without evidence", l.name, v.Cause)
		}
	}
	if repairable == 0 {
		t.Error("no refusal of an identity is found repairable")
	}
}

// Prose around a text, as logs and tools put it, must not change what it says.
func TestTextsOfRuntimesWrapped(t *testing.T) {
	wraps := map[string]func(string) string{
		"JSON string":   func(s string) string { return `{"level":"error","msg":"` + jsonEscaper.Replace(s) + `"}` },
		"indented":      func(s string) string { return "\t  " + strings.ReplaceAll(s, ": ", ":\n\t    ") },
		"carriage":      func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"back-off":      func(s string) string { return `Back-off pulling image "x": ErrImagePull: ` + s },
		"trailing tabs": func(s string) string { return s + "\t\t" },
	}
	for name, wrap := range wraps {
		wrong, texts := 0, readTexts(t)
		for _, l := range texts {
			l.text.Message = wrap(l.text.Message)
			v := Classify(l.text)
			if !l.right(v) {
				wrong++
				t.Logf("%s: %s: %s, want %s", name, l.name, v.Cause, l.cause)
			}
			if l.falseRepair(v) {
				t.Errorf("%s: %s: false repair", name, l.name)
			}
		}
		if wrong*20 > len(texts) {
			t.Errorf("%s: %d of %d texts are read wrongly", name, wrong, len(texts))
		}
	}
}

var jsonEscaper = strings.NewReplacer(`"`, `\"`, "\n", `\n`, "<", `\u003c`, ">", `\u003e`, "'", `\u0027`)

// A text that is cut says less. It may leave the cause open, and hardly ever
// names another one. It must not lead to a repair that the whole text refuses:
// never when the front is lost, and when the end is, only if what is left is a
// whole text too.
func TestTextsOfRuntimesCut(t *testing.T) {
	cuts, wrong := 0, 0
	for _, l := range readTexts(t) {
		whole := Classify(l.text)
		message := l.text.Message
		for i := range message {
			for k, part := range []string{message[i:], message[:i]} {
				v := Classify(Text{Message: part, Image: l.text.Image, Reason: l.text.Reason})
				ended := k > 0 && (strings.HasSuffix(part, "403 Forbidden") || strings.HasSuffix(part, "403 (Forbidden)"))
				if v.Repairable() && !whole.Repairable() && !ended {
					t.Fatalf("%s: repairable when cut to\n%s", l.name, part)
				}
				cuts++
				switch v.Cause {
				case whole.Cause, BackOff, Ambiguous, NotPullFailure:
				default:
					wrong++
				}
			}
		}
	}
	if wrong*100 > cuts {
		t.Errorf("%d of %d cut texts name another cause", wrong, cuts)
	}
}
