// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// sentence says in one sentence what is wrong and what to do. What it shows of
// the image, the node and the account comes from the cluster and the cloud,
// never from the failure's text.
func sentence(reason Reason, f Facts) string {
	if f.Image == "" {
		f.Image = `""`
	}
	if say, ok := sentences[reason]; ok {
		return say(f)
	}
	return ofCause(reason, f)
}

// sentences holds one for every reason that rests on facts of the cloud.
var sentences = map[Reason]func(Facts) string{
	AccessMissing: func(f Facts) string {
		if f.Access.Deleted {
			return fmt.Sprintf("Service account %s of node %s has no read access to repository %s: the account of that name that had it was deleted, and the new one counts as another.",
				f.Puller.Email, f.Puller.Node, f.Reference.Repository)
		}
		return fmt.Sprintf("Service account %s of node %s has no read access to repository %s.", f.Puller.Email, f.Puller.Node, f.Reference.Repository)
	},
	WaitingForPropagation: func(f Facts) string {
		return fmt.Sprintf("Service account %s was granted read access to repository %s as PullAccessGrant %s, and the change is still spreading.",
			f.Puller.Email, f.Reference.Repository, f.OwnGrant)
	},
	RemovedExternally: func(f Facts) string {
		return fmt.Sprintf("Service account %s had read access to repository %s, as PullAccessGrant %s records, and somebody else has removed it since; the operator does not put it back: add it where the repository's policy is kept.",
			f.Puller.Email, f.Reference.Repository, f.OwnGrant)
	},
	AlreadyGranted: func(f Facts) string {
		return fmt.Sprintf("Service account %s may already read repository %s by %s, so a grant cannot help: if it was given minutes ago it is still spreading, else a deny policy, a principal access boundary or VPC Service Controls blocks it.",
			f.Puller.Email, f.Reference.Repository, way(f))
	},
	DeniedByPolicy: func(f Facts) string {
		return fmt.Sprintf("An IAM deny policy refuses service account %s the images of repository %s, whatever it is granted; an administrator must except the account from it.",
			f.Puller.Email, f.Reference.Repository)
	},
	permissionDenied: func(f Facts) string {
		return fmt.Sprintf("Artifact Registry refused whoever pulled image %s; to tell whether a grant helps, the node's account and the repository must be read.", f.Image)
	},
	DenialUnclear: func(f Facts) string {
		return fmt.Sprintf("The pull of image %s was denied, but the text does not show that the image's own registry refused the node's account, so nothing is granted; read the pod's events.", f.Image)
	},
	MirrorRefused: func(f Facts) string {
		return fmt.Sprintf("A mirror refused image %s, not its own registry %s, so a grant there cannot be told to help; check the access to the mirror that the node's container runtime is set to use.",
			f.Image, f.Reference.Registry)
	},
	PushDenied: func(f Facts) string {
		return fmt.Sprintf("What was denied on image %s is %s, not the download, so read access cannot help; look at what pushes or mirrors the image.", f.Image, f.Cause.Permission)
	},
	NotArtifactRegistry: func(f Facts) string {
		return fmt.Sprintf("Registry %s refused image %s, and only Artifact Registry can be opened by this operator; %s.", f.Reference.Registry, f.Image, adviceOf(f).access)
	},
	PublicImage: func(f Facts) string {
		return fmt.Sprintf("Image %s is kept by Google or the Kubernetes community for everybody, and nobody else can open it; check its name, and whether the node's way out to %s is open.",
			f.Image, f.Reference.Registry)
	},
	SandboxImage: func(f Facts) string {
		node := "The node"
		if f.Puller.Node != "" {
			node = "Node " + f.Puller.Node
		}
		return fmt.Sprintf("%s cannot pull the sandbox image that every pod needs (%s), so no container of the pod was tried; its name is set in the node's container runtime, and no grant for the pod's image can help.",
			node, f.Cause.Cause)
	},
	PullSecretUsed: func(f Facts) string {
		secret, _ := f.Puller.secret()
		switch {
		case secret.Email != "":
			return fmt.Sprintf("Pull secret %s is tried for image %s before the node's account, and claims to hold a key of service account %s; whoever owns that account must see to its access to repository %s, or the secret must go.",
				secret.Name, f.Image, secret.Email, f.Reference.Repository)
		case secret.State == Present:
			return fmt.Sprintf("Pull secret %s is tried for image %s before the node's account; give its account access, or remove the secret.", secret.Name, f.Image)
		}
		return fmt.Sprintf("The pod has pull secrets (%s), so it is not certain that the node's account asked for image %s; give the secret's account access, or remove the secret.", secret.Name, f.Image)
	},
	FederatedPuller: func(f Facts) string {
		if f.Cause.Cause == pullfailure.Unauthenticated {
			return fmt.Sprintf("The pod's Kubernetes service account %s should pull image %s by Workload Identity Federation, and no credential was sent, so the exchange of its token has failed; check the node's identity provider and the workload identity pool.",
				f.Puller.Account, f.Image)
		}
		return fmt.Sprintf("The pod's Kubernetes service account %s pulls image %s by Workload Identity Federation, not the node, so a grant to the node cannot help; grant that identity.",
			f.Puller.Account, f.Image)
	},
	NoServiceAccount: func(f Facts) string {
		return fmt.Sprintf("Node %s has no service account, so it can pull nothing that is not public; create a node pool with a service account.", f.Puller.Node)
	},
	PullerUnknown: func(f Facts) string {
		if f.Puller.Member() != "" {
			return fmt.Sprintf("It is not known which identity pulls image %s: whether the pod's Kubernetes service account pulls was not read.", f.Image)
		}
		return fmt.Sprintf("It is not known which identity pulls image %s: %s.", f.Image, detail(f.Puller.Obstacle))
	},
	ScopesMissing: func(f Facts) string {
		return fmt.Sprintf("Node %s lacks the OAuth scope to read storage, and the scopes of an existing node cannot be changed, so no grant can help; create a node pool with the cloud-platform scope.", f.Puller.Node)
	},
	RepositoryNotFound: func(f Facts) string {
		switch {
		case f.Repository.State != Missing:
			return fmt.Sprintf("The repository of image %s does not exist; correct the image or create the repository.", f.Image)
		case strings.HasSuffix(f.Reference.Registry, "gcr.io"):
			return fmt.Sprintf("Repository %s does not exist: Container Registry was shut down, and %s is served from that Artifact Registry repository alone; create it and push the image, or correct the image.",
				f.Reference.Repository, f.Reference.Registry)
		}
		return ExplainRepository(f.Reference.Repository, f.Repository)
	},
	RepositoryNotDocker: func(f Facts) string {
		return fmt.Sprintf("Repository %s holds artifacts of format %q, not images; correct the image.", f.Reference.Repository, f.Repository.Format)
	},
	RepositoryModeUnknown: func(f Facts) string {
		return fmt.Sprintf("Repository %s is of mode %q, and this operator does not know what read access allows there; grant it by hand if that is right.", f.Reference.Repository, f.Repository.Mode)
	},
	RegistryMismatch: func(f Facts) string {
		return fmt.Sprintf("Repository %s is served at %s, which is not where image %s is asked for; correct the image.", f.Reference.Repository, f.Repository.RegistryURI, f.Image)
	},
	RepositoryUnreadable: func(f Facts) string {
		return fmt.Sprintf("Repository %s cannot be read: %s.", f.Reference.Repository, detail(f.Repository.Obstacle))
	},
	AccessUnreadable: func(f Facts) string {
		return fmt.Sprintf("It cannot be told whether the IAM policy of repository %s lets service account %s in: %s.", f.Reference.Repository, f.Puller.Email, detail(f.Access.Obstacle))
	},
}

// way names the policy and the role that let the puller in.
func way(f Facts) string {
	switch {
	case f.Access.State == Present:
		return f.Access.Role
	case f.ProjectAccess.State == Present:
		return f.ProjectAccess.Role + " on project " + f.Reference.Repository.Project
	default:
		return "a role that it inherits"
	}
}
