// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"strings"
	"testing"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// TestObstacleCommands checks that the diagnosis shows the command that removes the
// obstacle, not the failed read.
func TestObstacleCommands(t *testing.T) {
	const (
		enable  = "gcloud services enable "
		billing = "gcloud billing projects describe "
	)
	tests := map[string]struct {
		obstacle Obstacle
		want     string
		why      string
	}{
		"zero":          {},
		"permission":    {obstacle: Obstacle{Kind: Forbidden, Permission: "p.get"}},
		"unavailable":   {obstacle: Obstacle{Kind: Unavailable}},
		"quota project": {obstacle: Obstacle{Kind: QuotaProjectDenied, Consumer: "acme-home"}, want: `gcloud projects add-iam-policy-binding acme-home --member="$MEMBER" --role=roles/serviceusage.serviceUsageConsumer --condition=None`},
		"quota project, unnamed": {
			obstacle: Obstacle{Kind: QuotaProjectDenied},
		},
		"consumer":             {obstacle: Obstacle{Kind: ConsumerInvalid, Consumer: "acme-home"}, want: "gcloud projects describe acme-home"},
		"API of the project":   {obstacle: Obstacle{Kind: APIOff, Consumer: "417", Service: "compute.googleapis.com"}, want: enable + "compute.googleapis.com --project=417"},
		"API, nothing named":   {obstacle: Obstacle{Kind: APIOff}, want: enable + "artifactregistry.googleapis.com --project=acme"},
		"API of the caller's":  {obstacle: Obstacle{Kind: Unreadable, Consumer: "9", Service: "iam.googleapis.com"}, want: enable + "iam.googleapis.com --project=9"},
		"API of whom, unnamed": {obstacle: Obstacle{Kind: Unreadable, Service: "iam.googleapis.com"}, why: "nobody knows where"},
		"billing":              {obstacle: Obstacle{Kind: BillingOff}, want: billing + "acme"},
		"billing of another":   {obstacle: Obstacle{Kind: BillingOff, Consumer: "9"}, want: billing + "9"},
		"location":             {obstacle: Obstacle{Kind: InvalidLocation}, want: "gcloud artifacts locations list --project=acme"},
		"perimeter": {
			obstacle: Obstacle{Kind: Perimeter, Identifier: "UA_Y-7"},
			want:     `gcloud logging read 'protoPayload.metadata.vpcServiceControlsUniqueId="UA_Y-7"' --project=acme --freshness=1h --limit=10`,
		},
	}
	for name, tc := range tests {
		if got := tc.obstacle.command("acme"); got != tc.want {
			t.Errorf("%s: %q, want %q %s", name, got, tc.want, tc.why)
		}
	}
	for _, evil := range []string{"x; reboot", "$(reboot)", "`reboot`", "x\nreboot", "' reboot '", `"reboot`, "/reboot"} {
		for kind := NotRead; kind <= InvalidLocation; kind++ {
			o := Obstacle{Kind: kind, Permission: evil, Consumer: evil, Service: evil, Identifier: evil}
			if got := o.command(evil) + o.command("acme"); strings.Contains(got, "reboot") {
				t.Errorf("kind %d: %q is pasted", kind, got)
			}
		}
	}
}

// TestObstaclesLeadOn checks the command of each reason that an obstacle causes.
func TestObstaclesLeadOn(t *testing.T) {
	off := Obstacle{Kind: Unreadable, Detail: "off", Consumer: "9", Service: "iam.googleapis.com"}
	want := "gcloud services enable iam.googleapis.com --project=9"
	for name, f := range map[string]Facts{
		"repository": curable(func(f *Facts) { f.Repository = Repository{Obstacle: off} }),
		"access":     curable(func(f *Facts) { f.Access = Access{Obstacle: off} }),
		"puller":     curable(func(f *Facts) { f.Puller = Puller{Obstacle: off} }),
	} {
		if d := Diagnose(f); d.Command != want || d.Help != HelpUnknown {
			t.Errorf("%s: %s, help %q, %q", name, d.Reason, d.Help, d.Command)
		}
	}
}

// TestIdentifierIsADetail checks that the compared sentence has no identifier, because each denial
// has a new one.
func TestIdentifierIsADetail(t *testing.T) {
	outside := func(identifier string) Obstacle {
		return Obstacle{Kind: Perimeter, Detail: "kept out", Identifier: identifier}
	}
	repository := imageref.Repository{Project: "acme", Location: "us", Name: "r"}
	for name, say := range map[string]func(Obstacle) string{
		"repository": func(o Obstacle) string {
			return Diagnose(curable(func(f *Facts) { f.Repository = Repository{Obstacle: o} })).Sentence
		},
		"access": func(o Obstacle) string {
			return Diagnose(curable(func(f *Facts) { f.Access = Access{Obstacle: o} })).Sentence
		},
		"puller": func(o Obstacle) string {
			return Diagnose(curable(func(f *Facts) { f.Puller = Puller{Obstacle: o} })).Sentence
		},
		"condition": func(o Obstacle) string { return ExplainRepository(repository, Repository{Obstacle: o}) },
		"write":     func(o Obstacle) string { return WithoutNote(ExplainIAMPolicy(repository, o) + o.Note()) },
	} {
		if first, second := say(outside("ID-1")), say(outside("ID-2")); first != second || strings.Contains(first, "ID-1") {
			t.Errorf("%s: %q is followed by %q", name, first, second)
		}
	}
	d := Diagnose(curable(func(f *Facts) { f.Repository = Repository{Obstacle: outside("ID-1")} }))
	if details := strings.Join(d.Unknowns, "\n"); !strings.Contains(details, "ID-1") || !strings.Contains(d.Command, "ID-1") || !strings.Contains(outside("ID-1").Note(), "ID-1") {
		t.Errorf("the identifier is in none of %q, %q and %q", details, d.Command, outside("ID-1").Note())
	}
}
