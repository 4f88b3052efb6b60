// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// ofCause is the sentence of a reason that is a cause.
func ofCause(reason Reason, f Facts) string {
	switch cause := pullfailure.Cause(reason); cause {
	case pullfailure.Unauthenticated:
		return unauthenticated(f)
	case pullfailure.ImageNotFound:
		return notFound(f)
	case pullfailure.APIDisabled:
		if f.Repository.Obstacle.Detail != "" {
			return fmt.Sprintf("Repository %s cannot be read, and most likely not be pulled from: %s.", f.Reference.Repository, f.Repository.Obstacle.Detail)
		}
	case pullfailure.VPCServiceControls:
		if f.Repository.Obstacle.Detail != "" {
			return fmt.Sprintf("A VPC Service Controls perimeter around repository %s keeps the asking account out, and most likely the node as well; an administrator of the perimeter must allow it.", f.Reference.Repository)
		}
	case pullfailure.RateLimited:
		return fmt.Sprintf("The registry of image %s, or the kubelet, limits the rate of pulls; it will be tried again by itself%s.", f.Image, adviceOf(f).rate)
	case pullfailure.InvalidReference:
		return invalid(f)
	default: // One of the plain ones.
	}
	if say, ok := plain[pullfailure.Cause(reason)]; ok {
		return fmt.Sprintf(say, f.Image)
	}
	return fmt.Sprintf("Image %s cannot be pulled for a reason that is not known; read the pod's events.", f.Image)
}

// plain holds a sentence for every cause that no fact refines; its verb is the image.
var plain = map[pullfailure.Cause]string{
	pullfailure.VPCServiceControls:  "A VPC Service Controls perimeter refuses image %s, so no grant can help; an administrator of the perimeter must allow it.",
	pullfailure.APIDisabled:         "The Artifact Registry API or billing is off in the project of image %s; an administrator of that project must turn it on.",
	pullfailure.Network:             "The node cannot reach the registry of image %s; check DNS, routes, firewall and proxy of the node.",
	pullfailure.TLS:                 "The node and the registry of image %s do not agree on TLS; check the registry's certificate and the node's trust in it.",
	pullfailure.RegistryUnavailable: "The registry of image %s is unavailable; the kubelet will try again by itself.",
	pullfailure.PlatformMismatch:    "Image %s is not built for the platform of the node; build it for that platform or choose other nodes.",
	pullfailure.DiskPressure:        "The node has no room for image %s; free or enlarge its disk.",
	pullfailure.PolicyRejected:      "A policy on the node refuses image %s; sign it, or correct the policy.",
	pullfailure.CredentialProvider:  "The node's credential provider failed for image %s; look into the kubelet's log on the node.",
	pullfailure.CorruptContent:      "What the registry sent for image %s is damaged or cannot be unpacked; push the image again.",
	pullfailure.Cancelled:           "The pull of image %s was cancelled before anything was learnt; it will be tried again by itself.",
	pullfailure.NeverPull:           "Image %s is not on the node and the pod's imagePullPolicy is Never; change the policy or load the image.",
	pullfailure.BackOff:             "Image %s cannot be pulled and the kubelet has not said why yet; its next attempt will.",
	pullfailure.Ambiguous:           "Image %s cannot be pulled, and what the kubelet says fits several causes; read the pod's events.",
	pullfailure.NotPullFailure:      "Nothing says that image %s cannot be pulled.",
}

// invalid explains a reference that is invalid or that names no image.
func invalid(f Facts) string {
	var nameless *imageref.NoImageError
	switch {
	case f.Image == "":
		return "The image reference is longer than 4096 bytes, so no runtime accepts it; correct it in the workload."
	case !errors.As(f.ReferenceErr, &nameless):
		return fmt.Sprintf("Image %q is no valid image reference; correct it in the workload.", f.Image)
	case nameless.Repository.Project == "" || nameless.Repository.Name == "":
		return fmt.Sprintf("Image %q is a valid reference that names no image: project, repository and image follow the host; write %s in the workload.",
			f.Image, nameless.Complete)
	default:
		return fmt.Sprintf("Image %q is a valid reference that names no image: it ends at repository %s, and the name of the image in it is missing; write %s in the workload.",
			f.Image, nameless.Repository, nameless.Complete)
	}
}

func unauthenticated(f Facts) string {
	start := fmt.Sprintf("Image %s was asked for without a valid credential, so no grant can help; ", f.Image)
	switch secret, ok := f.Puller.secret(); {
	case ok:
		return start + "pull secret " + secret.Name + " may lack one for its registry, or hold one that has expired."
	case f.Reference.Google():
		return start + "check that the node's credential provider covers its registry, or give the pod a pull secret."
	default:
		return start + adviceOf(f).access + "."
	}
}

// notFound says what is missing, and what is there instead.
func notFound(f Facts) string {
	repository := f.Reference.Repository
	switch {
	case f.Content.State == Missing && f.Cause.Cause == pullfailure.PermissionDenied:
		// Who may not read the repository is not told what else is in it.
		return fmt.Sprintf("Image %s does not exist in repository %s, so access to it would not help; correct the image or push it.", f.Image, repository)
	case f.Content.State == Missing && f.Content.NoPackage:
		return fmt.Sprintf("Repository %s holds no image %s%s; correct the image or push it.", repository, f.Reference.Package, instead("images", f.Content.Nearest))
	case f.Content.State == Missing && len(f.Content.Nearest) > 0:
		return fmt.Sprintf("Image %s does not exist: repository %s holds it under other tags or digests%s; correct the image or push it.",
			f.Image, repository, instead("tags", f.Content.Nearest))
	case f.Content.State == Missing:
		return fmt.Sprintf("Image %s does not exist: repository %s holds no such tag or digest of it; correct the image or push it.", f.Image, repository)
	case f.Content.State == Present:
		return fmt.Sprintf("Image %s was not found when it was pulled, and is there now; the kubelet's next attempt will find it.", f.Image)
	case f.Repository.Mode == remoteMode:
		return fmt.Sprintf("Image %s does not exist behind remote repository %s, or its service agent may not read it there; correct the image or the upstream's credentials.", f.Image, repository)
	default:
		return fmt.Sprintf("Image %s does not exist: no such tag, digest or name; correct the image or push it.", f.Image)
	}
}

func instead(what string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (nearest " + what + ": " + strings.Join(names, ", ") + ")"
}
