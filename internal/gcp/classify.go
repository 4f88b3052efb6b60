// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// Reasons by which Google tells apart what its HTTP codes mix up.
// https://cloud.google.com/apis/design/errors
var (
	quotaReasons    = []string{"RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}
	notFoundReasons = []string{"notFound"}
	apiOffReasons   = []string{"SERVICE_DISABLED", "accessNotConfigured"}
	billingReasons  = []string{"BILLING_DISABLED", "BILLING_STATE_INVALID"}
	vpcReasons      = []string{"SECURITY_POLICY_VIOLATED", "vpcServiceControls"}
	quotaProject    = []string{"USER_PROJECT_DENIED"}
	invalidConsumer = []string{"CONSUMER_INVALID"}
	iamReasons      = []string{"IAM_PERMISSION_DENIED"}
	orgPolicyTypes  = []string{"constraints/", "ORG_POLICY"}
)

// missingAccountText is the one error that Google tells apart by text alone.
var missingAccountText = regexp.MustCompile(`Service account (\S+@\S+) does not exist`)

// answer is an error answer of Google's, whichever client brought it.
type answer struct {
	code    int
	status  string
	message string
	reasons []string
	// consumer is the project that is charged for the call. service is the called API.
	consumer, service string
	permission        string
	account           string
	// explained: the details name a reason, so the text is not needed.
	explained bool
	// identifier is the unique identifier of a denial by VPC Service Controls.
	identifier string
	violations []string
	retryAfter time.Duration
}

// faultOf puts any error of a call in our words.
func (c *Client) faultOf(err error) *fault {
	var known *fault
	if errors.As(err, &known) {
		return known
	}
	var api *googleapi.Error
	if errors.As(err, &api) {
		return c.read(api, err).fault()
	}
	return faultOfTransport(err)
}

// read takes from an error answer what it says, in all the places Google says it.
func (c *Client) read(api *googleapi.Error, err error) answer {
	a := answer{code: api.Code, message: shorten(api.Message), retryAfter: c.retryAfter(api.Header.Get("Retry-After"))}
	var body struct {
		Error struct {
			Status string `json:"status"`
		} `json:"error"`
	}
	// The clients drop the status, and with it what a 400 means. A body that is no JSON has none.
	_ = json.Unmarshal([]byte(api.Body), &body)
	a.status = body.Error.Status
	text := oneLine(api.Message, maxText)
	if match := missingAccountText.FindStringSubmatch(text); match != nil {
		a.account = match[1]
	}
	for _, item := range api.Errors {
		a.reasons = append(a.reasons, item.Reason)
	}
	var parsed *apierror.APIError // One client wraps the other's error, and the other way round.
	if errors.As(err, &parsed) {
		a.readDetails(parsed)
	}
	a.readText(text)
	return a
}

// readDetails reads the reason and its metadata from the details of an error.
func (a *answer) readDetails(parsed *apierror.APIError) {
	details := parsed.Details()
	if info := details.ErrorInfo; info != nil {
		metadata := info.GetMetadata()
		a.reasons, a.explained = append(a.reasons, info.GetReason()), info.GetReason() != ""
		a.permission = matching(permissionName, metadata["permission"])
		a.consumer, a.service = clean(metadata["consumer"]), diagnosis.ServiceName(metadata["service"])
		a.identifier = diagnosis.PerimeterIdentifier(metadata["uid"])
	}
	if details.QuotaFailure != nil {
		a.reasons = append(a.reasons, quotaReasons[0])
	}
	for _, violation := range details.PreconditionFailure.GetViolations() {
		a.violations = append(a.violations, violation.GetType())
		if strings.Contains(violation.GetType(), vpcViolation) {
			a.identifier = cmp.Or(a.identifier, diagnosis.PerimeterIdentifier(violation.GetDescription()))
		}
	}
	a.retryAfter = max(a.retryAfter, details.RetryInfo.GetRetryDelay().AsDuration())
}

// retryAfter reads the header's two forms, seconds and a date.
func (c *Client) retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return max(0, time.Duration(min(seconds, 1<<20))*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(c.clock.Now()))
	}
	return 0
}

func (a answer) says(reasons []string) bool {
	return slices.ContainsFunc(a.reasons, func(r string) bool { return slices.Contains(reasons, r) })
}

func (a answer) violates(kind string) bool {
	return slices.ContainsFunc(a.violations, func(v string) bool { return strings.Contains(v, kind) })
}

func (a answer) fault() *fault {
	f := &fault{retryAfter: a.retryAfter}
	f.kind, f.detail = a.meaning()
	switch f.kind {
	case forbidden:
		f.permission = a.permission
	case apiOff:
		f.consumer, f.service = a.consumer, a.service
	case billingOff, quotaProjectDenied, consumerInvalid:
		f.consumer = a.consumer
	case perimeter:
		f.identifier = a.identifier
	case invalid:
		f.vague = a.code == http.StatusBadRequest && vagueText.MatchString(a.message)
	case missingAccount:
		f.account = a.account
	case unavailable:
		f.uncertain = a.code == http.StatusRequestTimeout || a.code == http.StatusBadGateway || a.code == http.StatusGatewayTimeout
	default: // The sentence says it all.
	}
	return f
}

// meaning is the kind of the fault and the sentence to it.
func (a answer) meaning() (kind, string) {
	switch {
	case a.says(quotaReasons), a.status == "RESOURCE_EXHAUSTED", a.code == http.StatusTooManyRequests:
		return unavailable, a.quote("Google asks to slow down")
	case a.says(apiOffReasons):
		return apiOff, a.named("the API "+a.service+" is not enabled", "a needed API is not enabled")
	case a.says(billingReasons):
		return billingOff, a.named("billing is off", "billing is off")
	case a.outside():
		return perimeter, "VPC Service Controls keep the asking account out"
	case a.says(quotaProject):
		return quotaProjectDenied, a.quotaProjectMessage()
	case a.says(invalidConsumer):
		return consumerInvalid, invalidConsumerMessage(a.consumer, "")
	}
	switch a.code {
	case http.StatusUnauthorized:
		return unknownCaller, a.quote("Google does not accept the asking account's credentials")
	case http.StatusForbidden:
		return a.classifyForbidden()
	case http.StatusNotFound:
		// A proxy or a wrong address answers 404 as well; only Google says so in its own way.
		if a.status != "NOT_FOUND" && !a.says(notFoundReasons) {
			return senseless, "the answer HTTP 404 is not Google's"
		}
		return notFound, a.quote("Google knows no such thing")
	case http.StatusConflict:
		return conflict, a.quote("somebody else wrote first")
	case http.StatusBadRequest, http.StatusPreconditionFailed:
		return a.classifyBadRequest()
	case http.StatusRequestTimeout:
		return unavailable, a.quote("Google did not answer in time")
	}
	if a.code >= http.StatusInternalServerError {
		return unavailable, a.quote("Google answered HTTP " + strconv.Itoa(a.code))
	}
	return invalid, a.quote("Google answered HTTP " + strconv.Itoa(a.code))
}

// classifyForbidden classifies the 403s about the asking account. It reports a missing permission only
// if Google does.
func (a answer) classifyForbidden() (kind, string) {
	switch {
	case a.says(iamReasons):
		return forbidden, a.quote("Google refuses the asking account")
	case a.message == "":
		return refused, "Google refuses the asking account with HTTP 403 and gives no reason"
	default:
		return refused, a.quote("Google refuses the asking account")
	}
}

// classifyBadRequest tells the 400s apart.
func (a answer) classifyBadRequest() (kind, string) {
	switch {
	case a.account != "":
		return missingAccount, a.message
	case a.status == "FAILED_PRECONDITION", slices.ContainsFunc(orgPolicyTypes, a.violates):
		return orgPolicy, a.quote("Google refuses the member")
	default:
		return invalid, a.quote("Google refuses the request")
	}
}

func (a answer) outside() bool {
	return a.says(vpcReasons) || a.violates(vpcViolation) || strings.Contains(a.message, vpcText)
}

// quote adds Google's own words, if there are any.
func (a answer) quote(sentence string) string {
	if a.message == "" {
		return sentence
	}
	return shorten(sentence + ": " + a.message)
}

// named adds the project to a sentence, or takes the plainer one if Google names no service.
func (a answer) named(sentence, plain string) string {
	if a.service == "" {
		sentence = plain
	}
	if a.consumer != "" {
		sentence += " for " + a.consumer
	}
	return sentence
}
