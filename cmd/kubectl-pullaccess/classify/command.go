// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package classify is the verb that tells the cause of failure texts, one a
// line. It asks neither the cluster nor the cloud.
package classify

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/input"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// outputName is the format that is the cause alone.
const outputName = "name"

func formats() []string { return []string{report.JSON, outputName} }

type options struct {
	genericiooptions.IOStreams

	files  []string
	output string
}

const long = `Tell the cause of failed pulls from their texts alone.

Each line in is one text: a JSON object with "message" and optionally "image" and
"reason", a JSON string, or plain text; they may be mixed, and empty lines are
skipped. Each line out is one JSON object, in the same order: cause, candidates,
repairable, evidence, httpStatus, permission, credentialSent.

Give the image where it is known: it is cut out of the text before anything is
read from it, and without it nothing is repairable.

Neither the cluster nor the cloud is asked. It stops at the first wrong line; what
came before is printed.`

const example = `  # What one message says
  echo 'Failed to pull image "nginx:1.99": ... not found' | kubectl pullaccess classify

  # Count the causes of all recent failures in the cluster
  kubectl get events -A --field-selector reason=Failed -o json |
    jq -c '.items[] | {message, reason}' | kubectl pullaccess classify -o name | sort | uniq -c

  # A file, of which the lines that an IAM grant may help
  kubectl pullaccess classify -f failures.jsonl | jq -c 'select(.repairable)'`

// NewCommand makes the verb.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams}
	c := &cobra.Command{
		Use:               "classify [-f FILE|-]",
		Short:             "Tell the cause of failure texts, one a line",
		Long:              long + "\n\n" + exit.Help(exit.Classify()),
		Example:           example,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return o.run() },
	}
	c.Flags().StringSliceVarP(&o.files, "filename", "f", []string{input.Stdin}, "Files of texts, one a line; - is the standard input.")
	c.Flags().StringVarP(&o.output, "output", "o", report.JSON, "Output format. One of: (json, name). Each is one line a text; name is the cause alone.")
	// It fails only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (o *options) run() error {
	if err := report.CheckFormat(o.output, formats()); err != nil {
		return err
	}
	out := bufio.NewWriter(o.Out)
	for _, name := range o.files {
		if err := o.file(name, out); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

func (o *options) file(name string, out *bufio.Writer) error {
	f, err := input.Open(name, o.In)
	if err != nil {
		return err
	}
	defer f.Close()
	if printers.IsTerminal(f.Reader) {
		fmt.Fprintln(o.ErrOut, "Reading texts from the terminal, one a line; end with Ctrl-D.")
	}
	f.Reader = flushing{f.Reader, out}
	lines, write := input.NewLines(f), o.writer(out)
	for line, ok := lines.Next(); ok; line, ok = lines.Next() {
		text, err := parse(line)
		if err != nil {
			return lines.Wrap(err)
		}
		if err := write(pullfailure.Classify(text)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (o *options) writer(out *bufio.Writer) func(pullfailure.Verdict) error {
	if o.output == outputName {
		return func(v pullfailure.Verdict) error {
			_, err := fmt.Fprintln(out, v.Cause)
			return err
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return func(v pullfailure.Verdict) error { return encoder.Encode(verdictOf(v)) }
}

// flushing shows what was answered before it waits for more to read, so that
// nothing is held back from a person who types or from a pipe that is slow.
type flushing struct {
	io.Reader
	out *bufio.Writer
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.out.Flush(); err != nil {
		return 0, err
	}
	return f.Reader.Read(p)
}

func noArguments(_ *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q; name files with -f, and give texts on the standard input", arguments[0])
}
