// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// part is one measurement.
type part struct {
	name string
	run  func(b *bench, ctx context.Context) error
}

// parts are all of them, in the order in which they are run.
var parts = []part{
	{"binary", (*bench).binary},
	{"alone", (*bench).alone},
	{"storm", (*bench).storms},
	{"hostile", (*bench).hostile},
	{"quiet", (*bench).quiet},
}

const (
	mostPods  = 100000
	mostStorm = 20000
	mostCases = 500
	mostLarge = 2000
	// mostFaulty limits -faulty, because each failure needs its own node.
	mostFaulty = 100
)

// options is the command line.
type options struct {
	parts []part
	// pods are the sizes of the quiet cluster, storm those of the storms, cases the failures that come alone.
	pods, storm []int
	cases       int
	// large is the number of pods of the largest possible size.
	large int
	// kinds are names of kinds of large pods, or parts of names. Empty selects all.
	kinds []string
	// faulty is the number of single failures for each kind of error from Google.
	faulty  int
	latency time.Duration
	hold    bool
}

// parse reads the command line. Its errors are one sentence each.
func parse(args []string, help io.Writer) (options, error) {
	o := options{parts: parts}
	name := "all"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The caller says what is wrong.
	pods := flags.String("pods", "0,5000,50000", "quiet: `numbers` of healthy pods, rising")
	storm := flags.String("storm", "100,1000,10000", fmt.Sprintf("storm: `numbers` of failing pods, multiples of %d", podsPerDeployment))
	flags.IntVar(&o.cases, "cases", 50, "alone: `number` of failures")
	kinds := flags.String("kinds", "", "hostile: `names` of kinds, or parts of them, such as labels,owners; empty selects all")
	flags.IntVar(&o.large, "large", 1000, "hostile: `number` of pods of each kind")
	flags.IntVar(&o.faulty, "faulty", 10, "alone: `number` of failures for each kind of error that Google returns once for each read")
	flags.DurationVar(&o.latency, "latency", 300*time.Millisecond, "storm, alone: `time` that each call to Google takes")
	flags.BoolVar(&o.hold, "hold", false, "quiet, alone: measure nothing, but leave the cluster running until Ctrl-C")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, "Usage: bench [quiet|storm|alone|hostile|binary|all] [flags]\n\nMeasures the operator as a whole and prints tables; all is the default.\n\n")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q is not expected after the flags", flags.Arg(0))
	}
	if name != "all" {
		o.parts = nil
	}
	for _, p := range parts {
		if p.name == name {
			o.parts = []part{p}
		}
	}
	if *kinds != "" {
		o.kinds = strings.Split(*kinds, ",")
	}
	var err error
	if o.pods, err = numbers("pods", *pods, 0, mostPods, 1); err != nil {
		return o, err
	}
	if o.storm, err = numbers("storm", *storm, podsPerDeployment, mostStorm, podsPerDeployment); err != nil {
		return o, err
	}
	return o, o.validate(name)
}

func (o options) validate(name string) error {
	switch {
	case len(o.parts) == 0:
		return fmt.Errorf("%q is none of quiet, storm, alone, hostile, binary and all", name)
	case o.cases < 1 || o.cases > mostCases:
		return fmt.Errorf("-cases must be from 1 to %d", mostCases)
	case o.large < 1 || o.large > mostLarge:
		return fmt.Errorf("-large must be from 1 to %d", mostLarge)
	case len(o.largePods()) == 0:
		return fmt.Errorf("-kinds %s matches no kind of pod", strings.Join(o.kinds, ","))
	case o.faulty < 0 || o.faulty > mostFaulty:
		return fmt.Errorf("-faulty must be from 0 to %d", mostFaulty)
	case o.latency < 0 || o.latency > 10*time.Second:
		return errors.New("-latency must be from 0s to 10s")
	case o.hold && name != "quiet" && name != "alone":
		return errors.New("-hold is for bench quiet and bench alone")
	}
	for i := 1; i < len(o.pods); i++ {
		if o.pods[i] <= o.pods[i-1] {
			return fmt.Errorf("-pods must rise: %d comes after %d", o.pods[i], o.pods[i-1])
		}
	}
	return nil
}

// numbers reads a list such as 100,1000.
func numbers(name, text string, least, most, multiple int) ([]int, error) {
	var all []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < least || n > most || n%multiple != 0 {
			what := "numbers"
			if multiple > 1 {
				what = fmt.Sprintf("multiples of %d", multiple)
			}
			return nil, fmt.Errorf("-%s must be %s from %d to %d with commas between them, and not %q", name, what, least, most, part)
		}
		all = append(all, n)
	}
	return all, nil
}
