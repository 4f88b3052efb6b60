// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image pulls images for the hollow node with containerd's own code, and words each outcome as kubelet and
// containerd's CRI plugin do, so that what is read from a hollow pod's status is what a real one would show.
package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/transfer"
	transferimage "github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/core/transfer/local"
	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/klog/v2"

	"github.com/pull-access/pull-access-operator/internal/pullsecret"
)

// containerdNamespace is where containerd's CRI plugin keeps its images.
const containerdNamespace = "k8s.io"

// pullTimeout bounds one pull, as containerd gives up on a pull without progress.
const pullTimeout = 5 * time.Minute

// Image is an image that is on the node.
type Image struct {
	// ID is the digest of the image's configuration, Name its full reference, RepoDigest its repository and digest.
	ID, Name, RepoDigest string
	Size                 int64
}

// Puller pulls images from registries into a folder.
type Puller struct {
	hostDir     string
	credentials Credentials
	db          *bolt.DB
	content     content.Store
	images      images.Store
	transfer    transfer.Transferrer
	platform    ocispec.Platform
}

// NewPuller prepares a puller that keeps what it pulls in dir. If mirror is not empty, it stands in for every registry host.
func NewPuller(ctx context.Context, dir, mirror string, credentials Credentials) (*Puller, error) {
	p := &Puller{
		hostDir:     filepath.Join(dir, "certs.d"),
		credentials: credentials,
		platform:    ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
	}
	if err := p.writeHosts(mirror); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	blobs, err := contentlocal.NewStore(filepath.Join(dir, "content"))
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	// Nothing here outlives the node, so nothing needs to reach the disk.
	p.db, err = bolt.Open(filepath.Join(dir, "meta.db"), 0o600, &bolt.Options{NoSync: true, Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	meta := metadata.NewDB(p.db, blobs, nil)
	if err := meta.Init(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open image store: %w", err), p.db.Close())
	}
	p.content, p.images = meta.ContentStore(), metadata.NewImageStore(meta)
	p.transfer = local.NewTransferService(p.content, p.images, local.TransferConfig{
		Leases:                 metadata.NewLeaseManager(meta),
		MaxConcurrentDownloads: 3,
	})
	return p, nil
}

// Close releases the store.
func (p *Puller) Close() error {
	return p.db.Close()
}

// writeHosts puts the mirror down in the form in which a containerd node is configured: as the server itself, for after a
// mirror containerd would go on to the true host.
func (p *Puller) writeHosts(mirror string) error {
	folder := filepath.Join(p.hostDir, "_default")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file := filepath.Join(folder, "hosts.toml")
	if mirror != "" {
		return os.WriteFile(file, fmt.Appendf(nil, "server = %q\n", mirror), 0o600)
	}
	// An earlier node of the same name may have left its mirror.
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Pull fetches manifest, configuration and layers of the image and verifies them. It tries the credentials of the pod's
// secrets, then the node's, and goes without if there is none. Its errors read as the ones that kubelet shows of containerd's.
func (p *Puller) Pull(ctx context.Context, named reference.Named, secrets []corev1.Secret) (Image, error) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, containerdNamespace), pullTimeout)
	defer cancel()
	var refused []error
	for _, credentials := range p.credentialsFor(ctx, named, secrets) {
		img, err := p.pull(ctx, named, credentials)
		if err == nil {
			return img, nil
		}
		refused = append(refused, asKubelet(err))
	}
	return Image{}, utilerrors.NewAggregate(refused)
}

// credentialsFor lists what to try, in kubelet's order. What cannot be read is logged and left out, as kubelet does.
func (p *Puller) credentialsFor(ctx context.Context, named reference.Named, secrets []corev1.Secret) []registry.Credentials {
	held, err := pullsecret.Lookup(secrets, named.Name())
	if err != nil {
		klog.FromContext(ctx).Error(err, "Looking up the pod's credentials", "image", named.String())
	}
	var found []registry.Credentials
	for _, credential := range held {
		found = append(found, registry.Credentials{Username: credential.Username, Secret: credential.Password})
	}
	user, password, err := p.credentials.lookup(ctx, reference.Domain(named))
	if err != nil {
		klog.FromContext(ctx).Error(err, "Looking up the node's credential", "image", named.String())
	}
	if user != "" || len(found) == 0 {
		found = append(found, registry.Credentials{Username: user, Secret: password})
	}
	return found
}

func (p *Puller) pull(ctx context.Context, named reference.Named, credentials registry.Credentials) (Image, error) {
	name := named.String()
	source, err := registry.NewOCIRegistry(ctx, name,
		registry.WithHostDir(p.hostDir), registry.WithCredentials(fixedCredentials(credentials)))
	if err != nil {
		return Image{}, fmt.Errorf("failed to create OCI registry: %w", err)
	}
	store := transferimage.NewStore(name, transferimage.WithPlatforms(p.platform))
	if err := p.transfer.Transfer(ctx, source, store); err != nil {
		return Image{}, fmt.Errorf("failed to pull and unpack image %q: %w", name, err)
	}
	pulled, err := p.images.Get(ctx, name)
	if err != nil {
		return Image{}, fmt.Errorf("failed to get image %q from containerd image store: %w", name, err)
	}
	platform := platforms.Only(p.platform)
	config, err := pulled.Config(ctx, p.content, platform)
	if err != nil {
		return Image{}, fmt.Errorf("get image config descriptor: %w", err)
	}
	size, err := pulled.Size(ctx, p.content, platform)
	if err != nil {
		return Image{}, fmt.Errorf("get image size: %w", err)
	}
	digested, err := reference.WithDigest(reference.TrimNamed(named), pulled.Target.Digest)
	if err != nil {
		return Image{}, err
	}
	return Image{ID: config.Digest.String(), Name: name, RepoDigest: digested.String(), Size: size}, nil
}

// asKubelet takes an error over the wire between containerd and kubelet: it gains a code, and loses it again if it says nothing.
func asKubelet(err error) error {
	err = errgrpc.ToGRPC(err)
	if s, ok := status.FromError(err); ok && s.Code() == codes.Unknown {
		return errors.New(s.Message())
	}
	return err
}

// fixedCredentials answers every host with what kubelet sent along with the pull, as containerd's CRI plugin does.
type fixedCredentials registry.Credentials

// GetCredentials implements registry.CredentialHelper.
func (c fixedCredentials) GetCredentials(_ context.Context, _, host string) (registry.Credentials, error) {
	credentials := registry.Credentials(c)
	credentials.Host = host
	return credentials, nil
}
