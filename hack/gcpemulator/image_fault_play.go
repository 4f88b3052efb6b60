// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// maxSilence bounds how long a request is left without an answer. Runtimes lose
// their patience before.
const maxSilence = 2 * time.Minute

// setImageFault is a fault that an image has.
type setImageFault struct {
	imageFaultSpec
	image imageref.Image
	url   string // What listen opened.
}

// scene is one request at which a fault is played.
type scene struct {
	setImageFault
	emulator *Emulator
	w        http.ResponseWriter
	r        *http.Request
	who      identity
	pull     pull // Zero at the token endpoint.
}

// setImage gives an image, HOST/PATH, a fault.
func (l *faultList) setImage(path string, fault setImageFault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.images == nil {
		l.images = map[string]setImageFault{}
	}
	l.images[path] = fault
}

// imageFault is the fault of the first of the images that has one.
func (l *faultList) imageFault(paths ...string) (setImageFault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range paths {
		if fault, ok := l.images[path]; ok {
			return fault, true
		}
	}
	return setImageFault{}, false
}

// playImage serves a pull of an image that has a fault.
func (e *Emulator) playImage(w http.ResponseWriter, r *http.Request, who identity, p pull, fault setImageFault) {
	if !authenticated(w, r, who, p) {
		return
	}
	if fault.stage == atManifest && p.kind == "manifest" || fault.stage == atBlob && p.kind == "blob" {
		fault.play(scene{setImageFault: fault, emulator: e, w: w, r: r, who: who, pull: p})
		return
	}
	e.serveStored(w, r, fault.image, p)
}

// playToken serves a request for a token for an image that has a fault. It tells
// whether it did: a fault that lies further on leaves the token to be given.
func (e *Emulator) playToken(w http.ResponseWriter, r *http.Request, who identity, fault setImageFault) bool {
	if fault.stage != atToken {
		return false
	}
	fault.play(scene{setImageFault: fault, emulator: e, w: w, r: r, who: who})
	return true
}

func deny(s scene) {
	if !s.image.Google() {
		refuseRegistry(s.w, &refusal{http: http.StatusForbidden, message: "requested access to the resource is denied"})
		return
	}
	refuseRegistry(s.w, denied(s.image, s.who))
}

func forbid(message string) func(scene) { return say(http.StatusForbidden, message) }

func say(status int, message string) func(scene) {
	return func(s scene) { refuseRegistry(s.w, &refusal{http: status, message: message}) }
}

// page answers in another form than the registry's JSON.
func page(status int, body string) func(scene) {
	return func(s scene) {
		s.w.Header().Set("Content-Type", http.DetectContentType([]byte(body)))
		s.w.WriteHeader(status)
		_, _ = io.WriteString(s.w, body)
	}
}

func miss(s scene) { refuseRegistry(s.w, missing(s.pull)) }

func missRepository(s scene) {
	name := cmp.Or(s.image.Repository.Name, s.image.Path)
	refuseRegistry(s.w, &refusal{http: http.StatusNotFound, message: fmt.Sprintf("Repository %q not found", name)})
}

func redirect(s scene) {
	http.Redirect(s.w, s.r, s.url+s.r.URL.Path, http.StatusTemporaryRedirect)
}

func beSilent(s scene) {
	s.emulator.wait(s.r.Context(), maxSilence)
	reset(s.w)
}

// serveManifest serves a text as the manifest, whatever is asked for.
func serveManifest(mediaType, text string) func(scene) {
	return func(s scene) { s.manifest(mediaType, text, digestOf(text)) }
}

// serveOtherManifest announces one manifest and sends another one of the same length.
func serveOtherManifest(s scene) {
	text := []byte(`{"schemaVersion":2,"layers":[]}`)
	announced := digestOf(string(text))
	if s.r.Method == http.MethodGet {
		text[len(text)-1] = ' '
	}
	s.manifest(ociManifestType, string(text), announced)
}

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func (s scene) manifest(mediaType, text, announced string) {
	s.w.Header().Set("Content-Type", mediaType)
	s.w.Header().Set("Docker-Content-Digest", announced)
	s.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if s.r.Method == http.MethodGet {
		_, _ = io.WriteString(s.w, text)
	}
}

func serveCorrupt(s scene) {
	stored := s.stored()
	body := stored.Body.Bytes()
	for i := range body {
		body[i] ^= 0xff
	}
	maps.Copy(s.w.Header(), stored.Header())
	s.w.WriteHeader(stored.Code)
	_, _ = s.w.Write(body)
}

// serveTruncated announces the whole blob and ends the connection in its middle.
func serveTruncated(s scene) {
	if s.half() {
		// The server ends a connection whose handler has written less than it announced.
		return
	}
	s.emulator.serveStored(s.w, s.r, s.image, s.pull)
}

func serveReset(s scene) {
	if s.half() {
		reset(s.w)
		return
	}
	s.emulator.serveStored(s.w, s.r, s.image, s.pull)
}

// half sends the announcement and the first half of a blob, if a blob is asked for.
func (s scene) half() bool {
	stored := s.stored()
	if s.r.Method != http.MethodGet || stored.Code != http.StatusOK {
		return false
	}
	maps.Copy(s.w.Header(), stored.Header())
	s.w.Header().Set("Content-Length", strconv.Itoa(stored.Body.Len()))
	s.w.WriteHeader(stored.Code)
	_, _ = s.w.Write(stored.Body.Bytes()[:stored.Body.Len()/2])
	return http.NewResponseController(s.w).Flush() == nil
}

// stored is the whole blob, also to a client that wants to go on where its connection ended.
func (s scene) stored() *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	whole := s.r.Clone(s.r.Context())
	whole.Header.Del("Range")
	s.emulator.serveStored(recorder, whole, s.image, s.pull)
	return recorder
}

// pushUnreadableLayer stores an image with a layer that is said to be an archive.
func (e *Emulator) pushUnreadableLayer(image string) error {
	layer := static.NewLayer([]byte("This is no archive."), types.DockerLayer)
	base, err := mutate.ConfigFile(empty.Image, nodeConfig())
	if err != nil {
		return fmt.Errorf("make image %s: %w", image, err)
	}
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return fmt.Errorf("make image %s: %w", image, err)
	}
	return e.PushImageFrom(image, img)
}
