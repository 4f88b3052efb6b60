// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// maxText limits the searched part of an error's text, in bytes.
const maxText = 4096

const (
	vpcViolation = "VPC_SERVICE_CONTROLS"
	vpcText      = "vpcServiceControlsUniqueIdentifier"
)

// Names from Google's responses appear in sentences and in commands, so each must match its pattern.
var permissionName = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]{0,63}(\.[a-zA-Z0-9]{1,63}){1,3}$`)

// vagueText is Google's whole message for a location that does not exist, and for many
// other errors.
var vagueText = regexp.MustCompile(`^Request contains an invalid argument`)

// plainText matches an error that Google also returns without details. Its named groups
// hold the permission, service or consumer.
type plainText struct {
	reason string
	text   *regexp.Regexp
}

// plainTexts classify errors by their text. A missing permission comes last, because other
// texts mention permissions too.
// https://cloud.google.com/service-usage/docs/error-codes
var plainTexts = []plainText{
	{quotaProject[0], regexp.MustCompile(`^Caller does not have required permission to use project (?P<consumer>\S+?)\.?(?: |$)`)},
	{invalidConsumer[0], regexp.MustCompile(`^Permission denied on resource project (?P<consumer>\S+?)\.?(?: |$)`)},
	{apiOffReasons[0], regexp.MustCompile(`\bAPI has not been used in project (?P<consumer>\S+) before or it is disabled\b(?:.*?/apis/api/(?P<service>[a-z0-9.-]+)/)?`)},
	{billingReasons[0], regexp.MustCompile(`\brequires billing to be enabled\b(?:.*? project #?(?P<consumer>\w\S*?)(?: |$))?`)},
	{iamReasons[0], regexp.MustCompile(`^Permission ['"](?P<permission>[\w.-]+)['"] denied on resource\b`)},
	{iamReasons[0], regexp.MustCompile(`^Required ['"](?P<permission>[\w.-]+)['"] permission\b`)},
	{iamReasons[0], regexp.MustCompile(`^You don't have permission to [a-z]+ the role\b`)},
	{iamReasons[0], regexp.MustCompile(`^The caller does not have permission\b`)},
}

// readText reads from the text of a 403 what its details lack.
func (a *answer) readText(text string) {
	if a.code != http.StatusForbidden {
		return
	}
	if _, after, found := strings.Cut(text, vpcText); found {
		word, _, _ := strings.Cut(strings.TrimLeft(after, ": "), " ")
		a.identifier = cmp.Or(a.identifier, diagnosis.PerimeterIdentifier(strings.TrimSuffix(word, ".")))
	}
	for _, known := range plainTexts {
		match := known.text.FindStringSubmatch(text)
		if match == nil {
			continue
		}
		if !a.explained {
			a.reasons = append(a.reasons, known.reason)
		}
		if !a.says([]string{known.reason}) {
			return // The details name another reason, so this text does not apply.
		}
		group := func(name string) string {
			if at := known.text.SubexpIndex(name); at >= 0 {
				return match[at]
			}
			return ""
		}
		a.permission = cmp.Or(a.permission, matching(permissionName, group("permission")))
		a.service = cmp.Or(a.service, diagnosis.ServiceName(group("service")))
		if project := group("consumer"); a.consumer == "" && projectName.MatchString(project) {
			a.consumer = "projects/" + project
		}
		return
	}
}

// matching returns s if it matches the pattern, otherwise "".
func matching(pattern *regexp.Regexp, s string) string {
	if pattern.MatchString(s) {
		return s
	}
	return ""
}

// projectOf returns the ID or number of a consumer, or "" if it names no project.
func projectOf(consumer string) string {
	project, ok := strings.CutPrefix(consumer, "projects/")
	if !ok {
		return ""
	}
	return matching(projectName, project)
}

// quotaProjectMessage explains a quota project that the asking account may not use, and
// the next step.
func (a answer) quotaProjectMessage() string {
	project := "its quota project"
	if named := projectOf(a.consumer); named != "" {
		project = "quota project " + named
	}
	return "the asking account may not use " + project +
		": grant it roles/serviceusage.serviceUsageConsumer there, or set another quota project"
}

// invalidConsumerMessage explains why Google does not accept a project. The argument who
// describes the project's role in the call.
func invalidConsumerMessage(consumer, who string) string {
	project := "the project of the call"
	if named := projectOf(consumer); named != "" {
		project = "project " + named
	}
	return "Google does not accept " + project + who + ": it does not exist, is being deleted, or its ID is misspelt"
}

// inLocation adds the location to a vague fault that it may have caused. Google does not
// name it.
func (f *fault) inLocation(location string) *fault {
	if f == nil || !f.vague {
		return f
	}
	named := *f
	named.location = location
	named.detail = shorten("location " + location + " most likely does not exist; " + f.detail)
	return &named
}
