// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// settle weighs what was answered with who asked, and for what.
func (a *attempt) settle(image string, all mark) {
	if a.marks&notSent != 0 && a.causes&permissionDenied != 0 {
		a.causes = a.causes&^permissionDenied | unauthenticated
	}
	if a.rank != status {
		return
	}
	if a.causes == permissionDenied && all&pulls == 0 && a.unframed() {
		a.causes = noAccess // The beginning is lost, and with it whether anybody was named.
	}
	a.settleStatus(image)
}

// settleStatus reads a status by what Google, or any registry, means by it there.
func (a *attempt) settleStatus(image string) {
	if a.status == statusNotFound && a.atToken() && (google(image) || image == "" && googleHost(a.server.host)) {
		a.causes = repositoryNotFound // Google gives a token, or not, for a whole repository.
	}
	if image == "" {
		return
	}
	switch a.status {
	case statusBadRequest:
		if _, err := imageref.Parse(image); err != nil {
			a.causes = invalidReference // The host was asked for a path that it can't have.
		}
	case statusPreconditionFailed:
		if google(image) {
			a.causes = registryUnavailable // So Container Registry answers since its end.
		}
	}
}

// unframed tells whether the status stands alone: neither does the text say what
// was asked for, nor with which credential.
func (a *attempt) unframed() bool {
	return a.marks&(sent|notSent|silent) == 0 && (a.server.host == "" || a.server.token)
}

// atToken tells whether it was the token endpoint that answered.
func (a *attempt) atToken() bool { return a.server.token || a.marks&atToken != 0 }

// google tells whether image is on a host that Artifact Registry serves.
func google(image string) bool {
	host, _, ok := strings.Cut(image, "/")
	return ok && googleHost(host)
}

func googleHost(host string) bool { return imageref.Image{Registry: host}.Google() }

// repairable tells whether all that the text says is that an identity was
// refused the download of this image, by the image's own registry. Whatever
// says more, or less, refuses.
func (s *scanner) repairable(v Verdict, image string) bool {
	switch r := &s.record; {
	case v.Cause != PermissionDenied, v.CredentialSent == CredentialNo, !google(image):
		return false
	case r.marks&(unlikely|notSent|many) != 0, r.marks&(asked|sent) == asked:
		return false
	case v.Permission != "" && v.Permission != iampolicy.DownloadPermission:
		return false
	case v.Resource != "" && !serves(v.Resource, image), cut(s.text):
		return false
	}
	host, _, _ := strings.Cut(image, "/")
	for i := range s.attempts[:s.last+1] {
		if !s.refused(&s.attempts[i], host) {
			return false
		}
	}
	return true
}

// refused tells whether the attempt came to a plain refusal of an identity by
// host, or to nothing.
func (s *scanner) refused(a *attempt, host string) bool {
	switch {
	case a.rank == status && a.unframed(), a.rank < status && a.causes&permissionDenied != 0:
		return false
	case a.rank > weak && a.causes&^noAccess != 0, a.marks&(explained|iam) == explained:
		return false
	case a.status != 0 && a.status != statusForbidden && a.causes&permissionDenied != 0:
		return false
	}
	// Otherwise a mirror, or the storage behind the registry, refused.
	return a.server.host == "" || strings.EqualFold(a.server.host, host) || standsIn(a.server.host, host, s.text)
}

// cut tells whether the text lacks a part: there is an ellipsis in its place, or
// the list of attempts is closed and was never opened.
func cut(text string) bool {
	return strings.Contains(text, ellipsis) || strings.Count(text, "[") != strings.Count(text, "]")
}

// serves tells whether resource is the repository that image is in. A text
// that names another one speaks of an upstream, or is made up.
func serves(resource, image string) bool {
	repository, err := imageref.ParseResourceName(resource)
	if err != nil {
		return false
	}
	host, path, _ := strings.Cut(image, "/")
	domain, id, scoped := strings.Cut(repository.Project, ":")
	path, ok := cutSegment(path, domain)
	if ok && scoped {
		path, ok = cutSegment(path, id)
	}
	if ok && repository.Name != host { // A gcr.io host is the name of its repository.
		_, ok = cutSegment(path, repository.Name)
		ok = ok && strings.Contains(host, repository.Location)
	}
	return ok
}

func cutSegment(path, segment string) (rest string, ok bool) {
	first, rest, ok := strings.Cut(path, "/")
	return rest, ok && first == segment
}

// named reads the permission and the resource that the registry names after
// the word permission at text[start:]. They are shown, never acted upon.
func named(text string, start int) (permission, resource string) {
	rest := text[start:min(len(text), start+maxShown)]
	_, rest, ok := strings.Cut(rest, " ")
	if !ok {
		return "", ""
	}
	permission, rest, ok = strings.Cut(rest, " denied ")
	if !ok {
		return "", ""
	}
	if _, after, ok := strings.Cut(rest, " resource "); ok {
		resource, _, _ = strings.Cut(after, " ")
	}
	return unquote(permission), unquote(resource)
}

func unquote(s string) string { return Sanitize(strings.TrimFunc(s, quotes)) }

func quotes(r rune) bool { return r == '"' || r == '\'' || r == '`' || r == '\\' || r == '.' }
