// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// imageStore keeps the images' bytes in a registry without any access control,
// which nobody but the emulator reaches.
type imageStore struct {
	handler http.Handler
}

func newImageStore() *imageStore {
	return &imageStore{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
}

// RoundTrip lets a registry client write to the store without a connection.
func (s *imageStore) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	response := answer.Result()
	response.Request = r
	return response, nil
}

// has tells whether the store holds the manifest or blob at a path.
func (s *imageStore) has(r *http.Request, path string) bool {
	head := r.Clone(r.Context())
	head.Method, head.URL.Path, head.Body = http.MethodHead, path, http.NoBody
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, head)
	return answer.Code == http.StatusOK
}

// storedName is where the store keeps an image: Artifact Registry's by location,
// so that both hosts of a gcr.io repository find the same image, others by host.
func storedName(image imageref.Image) string {
	if !image.Google() {
		return "foreign/" + strings.ReplaceAll(image.Registry, ":", "/") + "/" + image.Path
	}
	r := image.Repository
	return r.Location + "/" + strings.ReplaceAll(r.Project, ":", "/") + "/" + r.Name + "/" + image.Package
}

// PushImage stores a small image for this platform. It needs no access, and the
// repository need not exist. An image of a registry that is not Google's is
// served to everybody.
func (e *Emulator) PushImage(image string) error {
	layer, err := crane.Layer(map[string][]byte{"image": []byte(image)})
	if err != nil {
		return fmt.Errorf("make image %s: %w", image, err)
	}
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

// nodeConfig describes an image for the platform of this machine.
func nodeConfig() *v1.ConfigFile {
	return &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"}}
}

// PushImageFrom is PushImage with an image of the caller's.
func (e *Emulator) PushImageFrom(image string, img v1.Image) error {
	parsed, err := imageref.Parse(image)
	if err != nil {
		return err
	}
	separator, reference := ":", parsed.Tag
	if parsed.Digest != "" {
		separator, reference = "@", parsed.Digest
	}
	target, err := name.ParseReference("emulator.invalid/" + storedName(parsed) + separator + reference)
	if err != nil {
		return fmt.Errorf("push image %s: %w", image, err)
	}
	if err := remote.Write(target, img, remote.WithTransport(e.images)); err != nil {
		return fmt.Errorf("push image %s: %w", image, err)
	}
	made, err := newArtifact(parsed, img)
	if err != nil {
		return fmt.Errorf("describe image %s: %w", image, err)
	}
	e.state.addArtifact(parsed.Repository.ResourceName(), made)
	return nil
}

// artifact is what the API tells of a stored image.
type artifact struct {
	image     string // Its name in the repository; it may hold slashes.
	tag       string
	digest    string
	mediaType string
	size      int64
	uploaded  time.Time
}

func newArtifact(parsed imageref.Image, img v1.Image) (artifact, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return artifact{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return artifact{}, err
	}
	made := artifact{
		image: parsed.Package, tag: parsed.Tag, digest: digest.String(),
		mediaType: string(manifest.MediaType), size: manifest.Config.Size,
	}
	for _, layer := range manifest.Layers {
		made.size += layer.Size
	}
	return made, nil
}

// addArtifact moves the tag, if it was on another image.
func (s *state) addArtifact(repository string, made artifact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made.uploaded = s.clock.Now()
	kept := s.artifacts[repository]
	for n := range kept {
		if made.tag != "" && kept[n].image == made.image && kept[n].tag == made.tag {
			kept[n].tag = ""
		}
	}
	s.artifacts[repository] = append(kept, made)
}
