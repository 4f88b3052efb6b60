// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// explain gives the sentence and the next command for a reason. What it shows of
// the image, the node and the account comes from the cluster and the cloud,
// never from the failure's text.
func explain(reason Reason, f Facts) (sentence, command string) {
	if f.Image == "" {
		f.Image = `""`
	}
	if say, ok := ofAccess[reason]; ok {
		return say(f)
	}
	if say, ok := ofCause[pullfailure.Cause(reason)]; ok {
		return fmt.Sprintf(say, f.Image), ""
	}
	return fmt.Sprintf("Image %s cannot be pulled for a reason that is not known; read the pod's events.", f.Image), ""
}

// ofCause holds a sentence for every cause that no fact of the cloud refines;
// its verb is the image.
var ofCause = map[pullfailure.Cause]string{
	pullfailure.Unauthenticated:     "Image %s was asked for without a valid credential, so no grant can help; check that the node's credential provider covers its registry, or give the pod a pull secret.",
	pullfailure.ImageNotFound:       "Image %s does not exist: no such tag, digest or name; correct the image or push it.",
	pullfailure.RepositoryNotFound:  "The repository of image %s does not exist; correct the image or create the repository.",
	pullfailure.VPCServiceControls:  "A VPC Service Controls perimeter refuses image %s, so no grant can help; an administrator of the perimeter must allow it.",
	pullfailure.APIDisabled:         "The Artifact Registry API or billing is off in the project of image %s; an administrator of that project must turn it on.",
	pullfailure.RateLimited:         "The registry of image %s, or the kubelet, limits the rate of pulls; it will be tried again by itself.",
	pullfailure.Network:             "The node cannot reach the registry of image %s; check DNS, routes, firewall and proxy of the node.",
	pullfailure.TLS:                 "The node and the registry of image %s do not agree on TLS; check the registry's certificate and the node's trust in it.",
	pullfailure.RegistryUnavailable: "The registry of image %s is unavailable; the kubelet will try again by itself.",
	pullfailure.InvalidReference:    "Image %q is no valid image reference; correct it in the workload.",
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

// ofAccess holds a sentence for every reason that rests on facts of the cloud.
var ofAccess = map[Reason]func(Facts) (sentence, command string){
	AccessMissing: func(f Facts) (string, string) {
		return fmt.Sprintf("Service account %s of node %s has no read access to repository %s.", f.Puller.Email, f.Puller.Node, f.Reference.Repository),
			bindCommand(f)
	},
	WaitingForPropagation: func(f Facts) (string, string) {
		return fmt.Sprintf("Service account %s was granted read access to repository %s as PullAccessGrant %s, and the change is still spreading.",
			f.Puller.Email, f.Reference.Repository, f.OwnGrant), "kubectl describe pullaccessgrant " + f.OwnGrant
	},
	RemovedExternally: func(f Facts) (string, string) {
		return fmt.Sprintf("Service account %s was granted read access to repository %s as PullAccessGrant %s, and somebody else has removed it since; the operator does not put it back: add it where the repository's policy is kept.",
			f.Puller.Email, f.Reference.Repository, f.OwnGrant), policyCommand(f)
	},
	AlreadyGranted: func(f Facts) (string, string) {
		return fmt.Sprintf("Service account %s may already read repository %s by %s, so a grant cannot help: if it was given minutes ago it is still spreading, else a deny policy, a principal access boundary or VPC Service Controls blocks it.",
			f.Puller.Email, f.Reference.Repository, f.Access.Role), troubleshootCommand(f)
	},
	DenialUnclear: func(f Facts) (string, string) {
		return fmt.Sprintf("The pull of image %s was denied, but the text does not show that the image's own registry refused the node's account, so nothing is granted; read the pod's events.", f.Image), ""
	},
	PushDenied: func(f Facts) (string, string) {
		return fmt.Sprintf("What was denied on image %s is %s, not the download, so read access cannot help; look at what pushes or mirrors the image.", f.Image, f.Cause.Permission), ""
	},
	NotArtifactRegistry: func(f Facts) (string, string) {
		return fmt.Sprintf("Registry %s refused image %s, and only Artifact Registry can be opened by this operator; give the pod a pull secret for that registry.", f.Reference.Registry, f.Image), ""
	},
	PullSecretUsed: func(f Facts) (string, string) {
		return fmt.Sprintf("The pod has pull secrets, so it is not certain that the node's account asked for image %s; give the secret's account access, or remove the secret.", f.Image), ""
	},
	FederatedPuller: func(f Facts) (string, string) {
		return fmt.Sprintf("The pod's Kubernetes service account pulls image %s by Workload Identity Federation, not the node, so a grant to the node cannot help; grant that identity.", f.Image), ""
	},
	NoServiceAccount: func(f Facts) (string, string) {
		return fmt.Sprintf("Node %s has no service account, so it can pull nothing that is not public; create a node pool with a service account.", f.Puller.Node), ""
	},
	PullerUnknown: func(f Facts) (string, string) {
		return fmt.Sprintf("It is not known which identity pulls image %s: %s.", f.Image, detail(f.Puller.Obstacle)), ""
	},
	ScopesMissing: func(f Facts) (string, string) {
		return fmt.Sprintf("Node %s lacks the OAuth scope to read storage, and the scopes of an existing node cannot be changed, so no grant can help; create a node pool with the cloud-platform scope.", f.Puller.Node), ""
	},
	RepositoryNotFound: func(f Facts) (string, string) {
		return ExplainRepository(f.Reference.Repository, f.Repository), listCommand(f)
	},
	RepositoryNotDocker: func(f Facts) (string, string) {
		return fmt.Sprintf("Repository %s holds artifacts of format %q, not images; correct the image.", f.Reference.Repository, f.Repository.Format), listCommand(f)
	},
	RepositoryModeUnknown: func(f Facts) (string, string) {
		return fmt.Sprintf("Repository %s is of mode %q, which this operator does not know and so does not open; grant access by hand if that is right.", f.Reference.Repository, f.Repository.Mode), bindCommand(f)
	},
	RegistryMismatch: func(f Facts) (string, string) {
		return fmt.Sprintf("Repository %s is served at %s, which is not where image %s is asked for; correct the image.", f.Reference.Repository, f.Repository.RegistryURI, f.Image), ""
	},
	RepositoryUnreadable: func(f Facts) (string, string) {
		return ExplainRepository(f.Reference.Repository, f.Repository), describeCommand(f)
	},
	AccessUnreadable: func(f Facts) (string, string) {
		return fmt.Sprintf("The operator cannot read the IAM policy of repository %s: %s.", f.Reference.Repository, detail(f.Access.Obstacle)), policyCommand(f)
	},
}

// ExplainRepository says in one sentence what keeps a repository from being read.
func ExplainRepository(repository imageref.Repository, fact Repository) string {
	switch {
	case fact.State == Missing:
		return fmt.Sprintf("Repository %s does not exist; correct its name or create it.", repository)
	case fact.State == Present:
		return fmt.Sprintf("Repository %s is of format %q and mode %q, which this operator does not open.", repository, fact.Format, fact.Mode)
	}
	return fmt.Sprintf("The operator cannot read repository %s: %s.", repository, detail(fact.Obstacle))
}

func detail(o Obstacle) string {
	switch {
	case o.Kind == Forbidden && o.Permission != "":
		return "its own account lacks permission " + o.Permission + "; grant it"
	case o.Detail != "":
		return o.Detail
	default:
		return "it was not read"
	}
}

func repositoryFlags(f Facts) string {
	r := f.Reference.Repository
	return fmt.Sprintf("%s --project=%s --location=%s", r.Name, r.Project, r.Location)
}

func bindCommand(f Facts) string {
	return fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --member=%s --role=roles/artifactregistry.reader",
		repositoryFlags(f), f.Puller.Member())
}

func policyCommand(f Facts) string {
	return "gcloud artifacts repositories get-iam-policy " + repositoryFlags(f)
}

func describeCommand(f Facts) string {
	return "gcloud artifacts repositories describe " + repositoryFlags(f)
}

func listCommand(f Facts) string {
	r := f.Reference.Repository
	return fmt.Sprintf("gcloud artifacts repositories list --project=%s --location=%s", r.Project, r.Location)
}

func troubleshootCommand(f Facts) string {
	return fmt.Sprintf("gcloud policy-intelligence troubleshoot-policy iam //artifactregistry.googleapis.com/%s --principal-email=%s --permission=%s",
		f.Reference.Repository.ResourceName(), f.Puller.Email, pullfailure.DownloadPermission)
}
