// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
)

// TestMeasureOnCorpus scores labelled texts that are not part of the project:
// PULLFAILURE_CORPUS names a file with one JSON object a line (message, image,
// reason, registry, cause, candidates). Without it there is nothing to measure
// and the test is empty; the texts that decide are those of testdata.
func TestMeasureOnCorpus(t *testing.T) {
	path := os.Getenv("PULLFAILURE_CORPUS")
	if path == "" {
		return
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all, google score
	confusion := map[[2]Cause]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var row struct {
			ID, Message, Image, Reason, Registry string
			Cause                                Cause
			Candidates                           []Cause
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		l := labelled{name: row.ID, text: Text{row.Message, row.Image, row.Reason}, cause: row.Cause, candidates: row.Candidates}
		v := Classify(l.text)
		all.add(l, v)
		if row.Registry == "artifact-registry" || row.Registry == "gcr" {
			google.add(l, v)
		}
		if l.falseRepair(v) {
			t.Errorf("%s: false repair: %s", l.name, Sanitize(row.Message))
		}
		if !l.right(v) {
			confusion[[2]Cause{l.cause, v.Cause}]++
			t.Logf("%s: %s on %q, want %s: %s", l.name, v.Cause, v.Evidence, l.cause, Sanitize(row.Message))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for _, pair := range slices.SortedFunc(maps.Keys(confusion), func(a, b [2]Cause) int { return confusion[b] - confusion[a] }) {
		t.Logf("%3d × %s taken for %s", confusion[pair], pair[0], pair[1])
	}
	t.Logf("all: %d of %d right, %d repairable; Google: %d of %d right, %d repairable",
		all.right, all.rows, all.repairable, google.right, google.rows, google.repairable)
	for name, s := range map[string]score{"all": all, "Google": google} {
		if s.right*100 < s.rows*95 {
			t.Errorf("%s: less than 95 %% are right", name)
		}
	}
}

type score struct{ rows, right, repairable int }

func (s *score) add(l labelled, v Verdict) {
	s.rows++
	if l.right(v) {
		s.right++
	}
	if v.Repairable() {
		s.repairable++
	}
}
