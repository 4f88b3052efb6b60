// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package imageref turns the image string of a container into a registry and,
// for Artifact Registry, into the one repository that a grant would open.
//
// It is the first judgement of the flow and pure: it reads nothing but the
// string. The string must be the pod's own (spec), never one found in a message.
package imageref

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// Image is a parsed image reference, normalised as the kubelet normalises it.
type Image struct {
	// Registry is the host, and port if any: "us-central1-docker.pkg.dev", "docker.io".
	Registry string
	// Path is all between the host and the tag or digest.
	Path string
	// Tag is set when the reference has one, or has neither tag nor digest ("latest").
	Tag string
	// Digest is set when the reference has one; it wins over Tag.
	Digest string
	// Repository is the Artifact Registry repository that serves the image.
	// It is zero for every other registry.
	Repository Repository
	// Package is the image's name inside Repository; it may hold slashes.
	Package string
}

// Google tells whether the image's host is one that Artifact Registry serves.
func (i Image) Google() bool { return isGoogleHost(i.Registry) }

// String is the normalised reference.
func (i Image) String() string {
	s := i.Registry + "/" + i.Path
	if i.Tag != "" {
		s += ":" + i.Tag
	}
	if i.Digest != "" {
		s += "@" + i.Digest
	}
	return s
}

// Parse reads an image reference.
// It fails when the kubelet would call the name invalid, and when the host is
// Artifact Registry's but the path names no project, repository and image.
func Parse(image string) (Image, error) {
	named, err := reference.ParseDockerRef(image)
	if err != nil {
		return Image{}, fmt.Errorf("image %q: %w", cut(image), err)
	}
	parsed := Image{Registry: reference.Domain(named), Path: reference.Path(named)}
	if len(parsed.Registry) > maxHost {
		return Image{}, fmt.Errorf("image %q: %w", cut(image), errHost)
	}
	if tagged, ok := named.(reference.Tagged); ok {
		parsed.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		parsed.Digest = digested.Digest().String()
	}
	if !parsed.Google() {
		return parsed, nil
	}
	repository, name, missing := locate(parsed.Registry, strings.Split(parsed.Path, "/"))
	if len(missing) > 0 {
		parsed.Path += "/" + strings.Join(missing, "/")
		return Image{}, fmt.Errorf("image %q: %w", cut(image), &NoImageError{Repository: repository, Complete: parsed.String()})
	}
	parsed.Repository, parsed.Package = repository, name
	return parsed, nil
}

// maxHost is the length of the longest DNS name with a port.
const maxHost = 253 + len(":65535")

var errHost = errors.New("the host is longer than any name of a host")

// maxShown bounds what an error repeats of a string from outside, in bytes.
const maxShown = 256

func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return s[:maxShown] + "…"
}
