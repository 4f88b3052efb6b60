// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package classify

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/input"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
)

// classify runs the verb and returns what it printed.
func classify(t *testing.T, stdin io.Reader, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	c := NewCommand(genericiooptions.IOStreams{In: stdin, Out: &o, ErrOut: &e})
	c.SetArgs(arguments)
	c.SilenceErrors, c.SilenceUsage = true, true
	err = c.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// TestGolden: every text of testdata gives what stands beside it, also line by line.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in")
	if err != nil || len(files) == 0 {
		t.Fatalf("no texts: %v, %v", files, err)
	}
	for _, file := range files {
		for _, output := range []string{report.JSON, outputName} {
			t.Run(filepath.Base(file)+" as "+output, func(t *testing.T) {
				got, _, err := classify(t, nil, "-f", file, "-o", output)
				if err != nil {
					t.Fatal(err)
				}
				golden.Check(t, strings.TrimSuffix(file, ".in")+"."+output, got)
			})
		}
	}
}

const (
	backOff = `{"cause":"BackOff","candidates":[],"repairable":false,"evidence":"","httpStatus":0,"permission":"","credentialSent":"unknown"}` + "\n"
	other   = `{"cause":"NotPullFailure","candidates":[],"repairable":false,"evidence":"","httpStatus":0,"permission":"","credentialSent":"unknown"}` + "\n"
)

func TestForms(t *testing.T) {
	tests := map[string]struct {
		stdin, want, why string
	}{
		"nothing":                {"", "", "no text, no answer"},
		"no end of line":         {"Started container app", other, ""},
		"empty lines":            {"\n \n\r\nStarted container app\n\n", other, ""},
		"carriage returns":       {"Started container app\r\n{\"message\":\"\",\"reason\":\"ImagePullBackOff\"}\r\n", other + backOff, ""},
		"byte order mark":        {"\xef\xbb\xbf{\"message\":\"\",\"reason\":\"ImagePullBackOff\"}", backOff, "Windows editors write it"},
		"string":                 {`"Back-off pulling image \"nginx\""`, strings.Replace(backOff, `"evidence":""`, `"evidence":"Back-off pulling image"`, 1), "jq without -r"},
		"plain, quoted at start": {`"nginx" is what it is`, other, "plain text may begin with a quote"},
		"null message":           {`{"message":null,"reason":"ImagePullBackOff"}`, backOff, "jq's word for what is not there"},
		"other fields":           {`{"message":"","reason":"ImagePullBackOff","count":3,"image":""}`, backOff, "an event has many"},
		"invalid UTF-8":          {"Started \xff\xfe container", other, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, errOut, err := classify(t, strings.NewReader(tc.stdin))
			if err != nil || errOut != "" {
				t.Fatalf("%v, said %q (%s)", err, errOut, tc.why)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

func TestWrongInput(t *testing.T) {
	const first = `{"message":"","reason":"ImagePullBackOff"}` + "\n"
	long := strings.Repeat("x", input.MaxLine+1)
	tests := map[string]struct {
		stdin     string
		arguments []string
		// want is what is printed before it ends.
		want  string
		words []string
	}{
		"no object":         {first + "{", nil, backOff, []string{"standard input:2:", "begins like a JSON object", "jq: -c"}},
		"two objects":       {first + "\n{} {}", nil, backOff, []string{"standard input:3:", "begins like a JSON object"}},
		"no message":        {first + `{"msg":"x"}`, nil, backOff, []string{"standard input:2:", `no "message"`, `{"message": TEXT}`}},
		"number":            {first + `{"message":5}`, nil, backOff, []string{"standard input:2:", `"message" is a JSON number, want a string`}},
		"image of numbers":  {`{"message":"x","image":[5]}`, nil, "", []string{"standard input:1:", `"image" is a JSON array, want a string`}},
		"long line":         {first + long, nil, backOff, []string{"standard input:2:", "longer than 1048576 bytes"}},
		"long line, CRLF":   {first + long + "\r\n" + first, nil, backOff, []string{"standard input:2:", "longer than 1048576 bytes"}},
		"UTF-16":            {"\xff\xfex\x00\n\x00", nil, "", []string{"standard input:1:", "UTF-16", "save it as UTF-8"}},
		"missing file":      {first, []string{"-f", "-", "-f", "testdata/none"}, backOff, []string{"testdata/none", "no such file"}},
		"folder":            {"", []string{"-f", "testdata"}, "", []string{"testdata is a folder"}},
		"argument":          {"", []string{"text"}, "", []string{`unexpected argument "text"`, "-f"}},
		"format":            {first, []string{"-o", "wide"}, "", []string{`"wide"`, "json,name"}},
		"file's own number": {"", []string{"-f", "testdata/forms.in,testdata/wrong.jsonl"}, "", []string{"testdata/wrong.jsonl:2:"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := classify(t, strings.NewReader(tc.stdin), tc.arguments...)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, word := range tc.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it says %q, want it to say %q", err, word)
				}
			}
			if tc.want != "" && got != tc.want {
				t.Errorf("before it ended it printed %q, want %q", got, tc.want)
			}
		})
	}
}

// TestLongestLine: a line of the greatest length is read, with either end and with none.
func TestLongestLine(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n"} {
		line := strings.Repeat("x", input.MaxLine) + end
		if got, _, err := classify(t, strings.NewReader(line+strings.Repeat(line, len(end)))); err != nil || !strings.HasPrefix(got, other) {
			t.Errorf("with end %q: %q, %v", end, got, err)
		}
	}
}

// slow gives one line at a time, and looks before each what was answered so far.
type slow struct {
	lines   []string
	before  func(line int)
	current int
}

func (s *slow) Read(p []byte) (int, error) {
	s.before(s.current)
	if s.current == len(s.lines) {
		return 0, io.EOF
	}
	s.current++
	return copy(p, s.lines[s.current-1]), nil
}

// TestAnswersAtOnce: each answer is there before the next line is waited for.
func TestAnswersAtOnce(t *testing.T) {
	var out bytes.Buffer
	in := &slow{lines: []string{"a\n", "b\n", "c\n"}, before: func(line int) {
		if got := strings.Count(out.String(), "\n"); got != line {
			t.Errorf("after %d lines %d are answered", line, got)
		}
	}}
	c := NewCommand(genericiooptions.IOStreams{In: in, Out: &out, ErrOut: io.Discard})
	c.SetArgs(nil)
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// endless gives the same line n times, and calls last before it ends.
type endless struct {
	line string
	n    int
	last func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n > 0 {
		e.n--
		return copy(p, e.line), nil
	}
	if e.last != nil {
		e.last()
	}
	return 0, io.EOF
}

// TestConstantMemory: what is held after many lines is what is held after few.
func TestConstantMemory(t *testing.T) {
	line := `{"message":"` + strings.Repeat("x", 1000) + `","reason":"ImagePullBackOff"}` + "\n"
	held := func(n int) uint64 {
		var now runtime.MemStats
		out := &counted{}
		in := &endless{line: line, n: n, last: func() {
			runtime.GC()
			runtime.ReadMemStats(&now)
		}}
		c := NewCommand(genericiooptions.IOStreams{In: in, Out: out, ErrOut: io.Discard})
		c.SetArgs(nil)
		if err := c.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out.lines != n {
			t.Errorf("%d of %d lines were answered", out.lines, n)
		}
		return now.HeapAlloc
	}
	const n = 10_000
	few, many := held(10), held(n)
	if bound := few + n*10; many > bound { // A hundredth of the input.
		t.Errorf("%d bytes are held after 10 lines, %d after %d", few, many, n)
	}
}

type counted struct{ lines int }

func (c *counted) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

// TestOutputFails: an output that takes no more ends it with that error.
func TestOutputFails(t *testing.T) {
	want := errors.New("no room")
	c := NewCommand(genericiooptions.IOStreams{In: &endless{line: "x\n", n: 1_000_000}, Out: broken{want}, ErrOut: io.Discard})
	c.SetArgs(nil)
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func BenchmarkClassify(b *testing.B) {
	line := `{"message":"Failed to pull image \"us-central1-docker.pkg.dev/acme-prod-417/services/checkout:1.8.2\": failed to authorize: ` +
		`failed to fetch oauth token: unexpected status: 403 Forbidden","image":"us-central1-docker.pkg.dev/acme-prod-417/services/checkout:1.8.2"}` + "\n"
	b.ReportAllocs()
	c := NewCommand(genericiooptions.IOStreams{In: &endless{line: line, n: b.N}, Out: io.Discard, ErrOut: io.Discard})
	c.SetArgs(nil)
	if err := c.ExecuteContext(b.Context()); err != nil {
		b.Fatal(err)
	}
}
