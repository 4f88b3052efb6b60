// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// step is the percentage of packages between two lines of progress.
const step = 10

// progress reports the progress of a build from the packages that go build -v prints.
type progress struct {
	out   io.Writer
	clock clock.PassiveClock
	begin time.Time
	// left holds the import paths of the packages to compile.
	left            map[string]bool
	total, reported int
}

func (p *progress) start(programs []string) {
	p.total = len(p.left)
	fmt.Fprintf(p.out, "Building %s: %d packages to compile. Later runs reuse the programs. All of Kubernetes takes 5 minutes on 2 idle cores.\n",
		strings.Join(programs, ", "), p.total)
}

func (p *progress) end() {
	fmt.Fprintf(p.out, "Built in %s.\n", p.elapsed())
}

func (p *progress) elapsed() time.Duration { return p.clock.Since(p.begin).Round(time.Second) }

// compiled records a package and reports whether it was one of the packages to compile.
func (p *progress) compiled(path string) bool {
	if !p.left[path] {
		return false
	}
	delete(p.left, path)
	done := p.total - len(p.left)
	if percent := done * 100 / p.total; percent >= p.reported+step {
		p.reported = percent - percent%step
		rest := time.Duration(float64(p.clock.Since(p.begin)) / float64(done) * float64(len(p.left)))
		fmt.Fprintf(p.out, "  %d of %d packages in %s, about %s left\n", done, p.total, p.elapsed(), rest.Round(time.Second))
	}
	return true
}

// filter returns a writer for the output of go build -v. It counts packages and writes everything else to
// rest.
func (p *progress) filter(rest io.Writer) io.Writer {
	return &lineWriter{line: func(line []byte) {
		if !p.compiled(string(bytes.TrimSpace(line))) {
			_, _ = rest.Write(line) // A buffer's Write does not fail.
		}
	}}
}

// lineWriter passes on complete lines.
type lineWriter struct {
	line func([]byte)
	open []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(data []byte) (int, error) {
	w.open = append(w.open, data...)
	for {
		end := bytes.IndexByte(w.open, '\n')
		if end < 0 {
			return len(data), nil
		}
		w.line(w.open[:end+1])
		w.open = w.open[end+1:]
	}
}
