// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

// asProgram in the environment makes the test binary the program itself, for
// what only a process shows: signals and closed pipes.
const asProgram = "PULLACCESS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
		os.Exit(Run(context.Background(), os.Args, "test", streams))
	}
	os.Exit(m.Run())
}

func run(t *testing.T, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &o, ErrOut: &e}
	code = Run(t.Context(), append([]string{"kubectl-pullaccess"}, arguments...), "v1.2.3", streams)
	return code, o.String(), e.String()
}

func TestRun(t *testing.T) {
	const hint = "See 'kubectl pullaccess"
	tests := map[string]struct {
		arguments []string
		code      int
		// out and errOut are words of what is printed; one that is empty is to stay so.
		out, errOut []string
		// not is what must not be said.
		not string
	}{
		"nothing":          {nil, exit.OK, []string{"classify", "Exit codes:\n  0  nothing is failing, or all", "kubectl pullaccess COMMAND"}, nil, "kubectl-pullaccess"},
		"help":             {[]string{"--help"}, exit.OK, []string{"classify"}, nil, ""},
		"help of a verb":   {[]string{"classify", "-h"}, exit.OK, []string{"kubectl pullaccess classify [-f FILE|-] [flags]", "Exit codes:\n  0  every line was classified", "Examples:"}, nil, ""},
		"version":          {[]string{"version"}, exit.OK, []string{"v1.2.3\n"}, nil, ""},
		"help of explain":  {[]string{"explain", "-h"}, exit.OK, []string{"Exit codes:\n  0  nothing is failing\n", "  3  the cluster gives no answer"}, nil, ""},
		"version by flag":  {[]string{"--version"}, exit.OK, []string{"v1.2.3\n"}, nil, ""},
		"verbosity":        {[]string{"version", "-v=6"}, exit.OK, []string{"v1.2.3\n"}, nil, ""},
		"verbosity, apart": {[]string{"version", "-v", "6"}, exit.OK, []string{"v1.2.3\n"}, nil, ""},
		"verbosity, long":  {[]string{"--v=6", "version"}, exit.OK, []string{"v1.2.3\n"}, nil, ""},
		"verbosity alone":  {[]string{"-v"}, exit.Usage, nil, []string{"flag needs an argument: 'v' in -v"}, "v1.2.3"},
		"completion":       {[]string{"completion", "bash"}, exit.OK, []string{"complete"}, nil, ""},
		"verb":             {[]string{"classify"}, exit.OK, nil, nil, ""},
		"unknown verb":     {[]string{"clasify"}, exit.Usage, nil, []string{`error: unknown command "clasify"`, "classify", hint + " --help'"}, ""},
		"unknown flag":     {[]string{"classify", "--no"}, exit.Usage, nil, []string{"error: unknown flag: --no", hint + " classify --help'"}, ""},
		"argument":         {[]string{"classify", "x"}, exit.Usage, nil, []string{`unexpected argument "x"`, hint}, ""},
		"no such file":     {[]string{"classify", "-f", "none"}, exit.Usage, nil, []string{"error: open none: no such file"}, hint},
		"help of revoke":   {[]string{"revoke", "-h"}, exit.OK, []string{"kubectl pullaccess revoke NAME... | --all", "Exit codes:\n  0  all that was asked for has ended", "  1  some are not taken back yet"}, nil, ""},
		"no grant named":   {[]string{"approve"}, exit.Usage, nil, []string{"error: give the NAME of a grant", hint + " approve --help'"}, ""},
		"no reason":        {[]string{"pause", "prod"}, exit.Usage, nil, []string{"error: give --reason TEXT"}, hint},
		"nobody to ask":    {[]string{"revoke", "--all"}, exit.Usage, nil, []string{"error: --all asks before", "add --yes"}, hint},
		"declarations":     {[]string{"__complete", "grants", "-o", ""}, exit.OK, []string{"json\n", "terraform\nconfig-connector\ncrossplane\ngcloud\n:4\n"}, []string{"Completion ended"}, ""},
		"complete formats": {[]string{"__complete", "classify", "-o", ""}, exit.OK, []string{"json\nname\n:4\n"}, []string{"Completion ended"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := run(t, tc.arguments...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			wantWords(t, "output", out, tc.out)
			wantWords(t, "error output", errOut, tc.errOut)
			if tc.not != "" && strings.Contains(out+errOut, tc.not) {
				t.Errorf("it says %q in %q", tc.not, out+errOut)
			}
		})
	}
}

// TestVerbosity: with -v=6 the requests to the cluster are shown, as kubectl shows them.
func TestVerbosity(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, verbosity := range []string{"0", "6"} {
		c := program(t, "explain", "--server="+server.URL, "--kubeconfig="+os.DevNull, "-v="+verbosity)
		out, err := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != exit.Unreachable {
			t.Errorf("exit code %d (%v), want %d", code, err, exit.Unreachable)
		}
		if shown := strings.Contains(string(out), "/api/v1/namespaces/default/"); shown != (verbosity == "6") {
			t.Errorf("with -v=%s it says\n%s", verbosity, out)
		}
	}
}

// TestNoKubeconfig: the server is named, and not all that was asked of it.
func TestNoKubeconfig(t *testing.T) {
	c := program(t, "explain", "--kubeconfig="+os.DevNull)
	c.Env = append(c.Env, "KUBERNETES_SERVICE_HOST=", "KUBERNETES_MASTER=http://"+freeAddress(t))
	out, _ := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != exit.Unreachable {
		t.Errorf("exit code %d, want %d", code, exit.Unreachable)
	}
	want := regexp.MustCompile(`^error: the cluster gives no answer: http://127\.0\.0\.1:\d+: dial tcp [^/]*connection refused; no kubeconfig was found, see --kubeconfig and --context\n$`)
	if !want.Match(out) {
		t.Errorf("it says %q", out)
	}
}

// TestUnreached: each verb that works with grants says that no cluster answers, once.
func TestUnreached(t *testing.T) {
	server := "--server=http://" + freeAddress(t)
	for _, arguments := range []string{
		"grants", "grants a", "approve a", "deny a", "revoke a", "revoke --all --yes", "pause a --reason=r", "resume a b",
	} {
		code, out, errOut := run(t, append(strings.Fields(arguments), server, "--kubeconfig="+os.DevNull)...)
		if code != exit.Unreachable || out != "" || strings.Count(errOut, "error: ") != 1 || !strings.Contains(errOut, "connection refused") {
			t.Errorf("%s: exit code %d, and it says %q, %q", arguments, code, out, errOut)
		}
	}
}

// TestCluster approves over the wire: it asks who is speaking, and patches the status.
func TestCluster(t *testing.T) {
	const grant = `{"apiVersion":"pullaccess.dev/v1alpha1","kind":"PullAccessGrant","metadata":{"name":"a","resourceVersion":"7"},"spec":{"policy":"prod"},"status":{"conditions":[{"type":"Approved","status":"Unknown","reason":"WaitingForApproval"}]}}`
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		answer := grant
		switch r.Method {
		case http.MethodPost:
			answer = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview","status":{"userInfo":{"username":"ada"}}}`
		case http.MethodPatch:
			body, _ := io.ReadAll(r.Body)
			asked = append(asked, r.Header.Get("Content-Type")+" "+string(body))
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	code, out, errOut := run(t, "approve", "a", "--server="+server.URL, "--kubeconfig="+os.DevNull)
	if code != exit.OK || !strings.HasPrefix(out, "pullaccessgrant.pullaccess.dev/a approved: ") {
		t.Errorf("exit code %d, and it says %q, %q", code, out, errOut)
	}
	want := []string{
		"POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
		"GET /apis/pullaccess.dev/v1alpha1/pullaccessgrants/a",
		"PATCH /apis/pullaccess.dev/v1alpha1/pullaccessgrants/a/status",
		`application/merge-patch+json {"metadata":{"resourceVersion":"7"},"status":{"review":{"decision":"Approved","user":"ada"}}}`,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestCompletesNames: grants and policies are offered by name, as far as they suit the verb.
func TestCompletesNames(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		list := `{"apiVersion":"pullaccess.dev/v1alpha1","kind":"PullAccessGrantList","items":[{"metadata":{"name":"in-force"}},{"metadata":{"name":"waits"},"status":{"conditions":[{"type":"Approved","status":"Unknown","reason":"WaitingForApproval"}]}},{"metadata":{"name":"over"},"status":{"endedTime":"2026-11-01T03:00:00Z"}}]}`
		if strings.HasSuffix(r.URL.Path, "policies") {
			list = `{"apiVersion":"pullaccess.dev/v1alpha1","kind":"PullAccessPolicyList","items":[{"metadata":{"name":"acts"}},{"metadata":{"name":"held"},"spec":{"pause":{"reason":"r"}}}]}`
		}
		_, _ = io.WriteString(w, list)
	}))
	defer server.Close()
	for arguments, want := range map[string]string{
		"grants": "in-force\nwaits\nover\n", "grants waits": "", "approve": "waits\n", "deny": "waits\n", "approve waits": "",
		"revoke": "in-force\nwaits\n", "revoke in-force": "waits\n", "pause": "acts\n", "resume": "held\n",
		"grants --policy": "acts\nheld\n", "revoke --policy": "acts\nheld\n",
	} {
		line := append([]string{"__complete", "--server=" + server.URL, "--kubeconfig=" + os.DevNull}, strings.Fields(arguments)...)
		if code, out, _ := run(t, append(line, "")...); code != exit.OK || out != want+":4\n" {
			t.Errorf("%s: exit code %d, and it offers %q, want %q", arguments, code, out, want)
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func wantWords(t *testing.T, what, got string, words []string) {
	t.Helper()
	if len(words) == 0 && got != "" {
		t.Errorf("%s is %q, want none", what, got)
	}
	for _, word := range words {
		if !strings.Contains(got, word) {
			t.Errorf("%s is %q, want it to say %q", what, got, word)
		}
	}
}

// TestCompletionLink: under the name by which kubectl asks for completions it gives them.
func TestCompletionLink(t *testing.T) {
	var out bytes.Buffer
	streams := genericiooptions.IOStreams{Out: &out, ErrOut: io.Discard}
	if code := Run(t.Context(), []string{"/some/where/kubectl_complete-pullaccess", "cl"}, "", streams); code != exit.OK {
		t.Errorf("exit code %d", code)
	}
	wantWords(t, "output", out.String(), []string{"classify\t", ":4\n"})
}

func program(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// TestClosedPipe: "| head" ends the program without a word.
func TestClosedPipe(t *testing.T) {
	c := program(t, "classify")
	var errOut bytes.Buffer
	c.Stdin, c.Stderr = endless{}, &errOut
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"cause":`) {
		t.Errorf("the first line is %q, %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // Its input's end is closed under the writer as well.
	if got := signalOf(c); got != syscall.SIGPIPE {
		t.Errorf("ended by %v, want %v, as any program in a pipe", got, syscall.SIGPIPE)
	}
	if errOut.Len() > 0 {
		t.Errorf("it says %q", errOut.String())
	}
}

// TestInterrupt: Ctrl-C ends it also while it waits for input, without a word.
func TestInterrupt(t *testing.T) {
	c := program(t, "classify")
	var errOut bytes.Buffer
	c.Stderr = &errOut
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "x\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if got := signalOf(c); got != syscall.SIGINT {
		t.Errorf("ended by %v, want %v", got, syscall.SIGINT)
	}
	if errOut.Len() > 0 {
		t.Errorf("it says %q", errOut.String())
	}
}

func signalOf(c *exec.Cmd) syscall.Signal {
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// endless is a text that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat("Back-off pulling image\n", 100)), nil
}
