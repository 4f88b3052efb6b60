// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// command is what a person can paste next. It holds names of the cluster, the
// cloud and the parsed image only, none of the failure's text.
func command(reason Reason, f Facts) string {
	f = pasteable(f)
	if say, ok := commands[reason]; ok {
		if c := say(f); c != "" {
			return c
		}
	}
	return describePod(f)
}

// commands holds those of the reasons that have a better one than to look at the pod.
var commands = map[Reason]func(Facts) string{
	AccessMissing:         func(f Facts) string { return bind(f, f.Puller.Member()) },
	WaitingForPropagation: func(f Facts) string { return "kubectl describe pullaccessgrant " + f.OwnGrant },
	RemovedExternally:     readPolicy,
	AlreadyGranted:        troubleshoot,
	DeniedByPolicy:        troubleshoot,
	AccessUnreadable: func(f Facts) string {
		return cmp.Or(f.Access.Obstacle.command(f.Reference.Repository.Project), readPolicy(f))
	},
	NotArtifactRegistry: createSecret,
	SandboxImage:        describeNode,
	MirrorRefused:       describeNode,
	FederatedPuller: func(f Facts) string {
		if f.Cause.Cause == pullfailure.Unauthenticated {
			return describeNode(f) // Nobody was refused: a binding would open the repository for nothing.
		}
		return bind(f, federatedMember(f))
	},
	PullSecretUsed: func(f Facts) string {
		// No binding for the account that the secret names: whoever made the pod made that up at will.
		secret, _ := f.Puller.secret()
		if secret.Name == "" {
			return ""
		}
		return kubectl(f, "describe secret "+secret.Name)
	},
	NoServiceAccount: describeInstance,
	PullerUnknown: func(f Facts) string {
		if f.Puller.Member() != "" && f.Puller.Federated == Unknown && f.Puller.Account != "" {
			return kubectl(f, "get serviceaccount "+f.Puller.Account+" --output=yaml")
		}
		of, _, _ := strings.Cut(f.Puller.Instance, "/")
		return cmp.Or(f.Puller.Obstacle.command(of), describeInstance(f))
	},
	ScopesMissing:         createPool,
	RepositoryNotFound:    findRepository,
	RepositoryNotDocker:   listRepositories,
	RepositoryModeUnknown: describeRepository,
	RegistryMismatch:      describeRepository,
	RepositoryUnreadable: func(f Facts) string {
		return cmp.Or(f.Repository.Obstacle.command(f.Reference.Repository.Project), describeRepository(f))
	},
	invalidReference: listNamed,

	permissionDenied: func(f Facts) string {
		if f.Pod == "" || f.Namespace == "" {
			return ""
		}
		// kubectl takes no flag before a plugin's name.
		return "kubectl pullaccess explain " + f.Pod + " --namespace=" + f.Namespace
	},
	imageNotFound: listTags,
	apiDisabled: func(f Facts) string {
		if f.Reference.Repository.IsZero() {
			return ""
		}
		if f.Repository.Obstacle.Kind == BillingOff || strings.Contains(strings.ToLower(f.Cause.Evidence), "billing") {
			return describeBilling(f.Reference.Repository.Project)
		}
		return enableAPI(artifactRegistryAPI, f.Reference.Repository.Project)
	},
	vpcServiceControls: func(f Facts) string {
		if f.Reference.Repository.IsZero() {
			return ""
		}
		return readDenials(f.Repository.Obstacle.Identifier, f.Reference.Repository.Project)
	},
	Reason(pullfailure.Unauthenticated): func(f Facts) string {
		if f.Reference.Google() {
			return describeNode(f)
		}
		return createSecret(f)
	},
	Reason(pullfailure.PlatformMismatch): func(f Facts) string {
		if f.Puller.Node == "" {
			return ""
		}
		return "kubectl get node " + f.Puller.Node + " --output=jsonpath='{.status.nodeInfo.operatingSystem}/{.status.nodeInfo.architecture}{\"\\n\"}'"
	},
	Reason(pullfailure.Network):            describeNode,
	Reason(pullfailure.TLS):                describeNode,
	Reason(pullfailure.DiskPressure):       describeNode,
	Reason(pullfailure.CredentialProvider): describeNode,
}

// pasteable drops the names that are none: those of a file may be anything, and
// what is pasted is run by a shell.
func pasteable(f Facts) Facts {
	names := []*string{&f.Namespace, &f.Pod, &f.OwnGrant, &f.Puller.Node, &f.Puller.Pool, &f.Puller.Account}
	f.Puller.Secrets = slices.Clone(f.Puller.Secrets)
	for i := range f.Puller.Secrets {
		names = append(names, &f.Puller.Secrets[i].Name)
	}
	for _, name := range names {
		if len(validation.IsDNS1123Subdomain(*name)) > 0 {
			*name = ""
		}
	}
	if !serviceAccount.MatchString(f.Puller.Email) {
		f.Puller.Email = ""
	}
	if !project.MatchString(f.Puller.Cluster.Project) {
		f.Puller.Cluster = Cluster{}
	}
	if !instance.MatchString(f.Puller.Instance) {
		f.Puller.Instance = ""
	}
	return f
}

var (
	project        = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*$`)
	instance       = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*(/[a-z0-9-]+){2}$`)
	serviceAccount = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*@[a-z0-9][a-z0-9.-]*\.gserviceaccount\.com$`)
)

func kubectl(f Facts, rest string) string {
	if f.Namespace == "" {
		return ""
	}
	return "kubectl --namespace=" + f.Namespace + " " + rest
}

func describePod(f Facts) string {
	if f.Pod == "" {
		return ""
	}
	return kubectl(f, "describe pod "+f.Pod)
}

func describeNode(f Facts) string {
	if f.Puller.Node == "" {
		return ""
	}
	return "kubectl describe node " + f.Puller.Node
}

func createSecret(f Facts) string {
	if f.Reference.Registry == "" {
		return ""
	}
	server := f.Reference.Registry
	if server == "docker.io" {
		server = "https://index.docker.io/v1/" // As kubectl's own documentation has it.
	}
	return kubectl(f, `create secret docker-registry pull-secret --docker-server=`+server+
		` --docker-username="$REGISTRY_USER" --docker-password="$REGISTRY_TOKEN"`)
}

func describeInstance(f Facts) string {
	parts := strings.Split(f.Puller.Instance, "/")
	if len(parts) != 3 {
		return describeNode(f)
	}
	return fmt.Sprintf("gcloud compute instances describe %s --zone=%s --project=%s --format='yaml(serviceAccounts)'", parts[2], parts[1], parts[0])
}

// maxPool is the longest name that GKE takes for a node pool.
const maxPool = 40

// createPool makes a node pool with the scopes that the present one lacks.
func createPool(f Facts) string {
	c := f.Puller.Cluster
	if c == (Cluster{}) || f.Puller.Pool == "" {
		return describeInstance(f)
	}
	return fmt.Sprintf("gcloud container node-pools create %s-scoped --cluster=%s --location=%s --project=%s --service-account=%s --scopes=cloud-platform",
		f.Puller.Pool[:min(len(f.Puller.Pool), maxPool-len("-scoped"))], c.Name, c.Location, c.Project, f.Puller.Email)
}

// federatedMember has the shell look up the project's number, which the member holds.
// The project is that of the known cluster: a node can claim to be in any.
// https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#principal-id-examples
func federatedMember(f Facts) string {
	if f.Puller.Cluster.Project == "" || f.Namespace == "" || f.Puller.Account == "" {
		return ""
	}
	return fmt.Sprintf(`"principal://iam.googleapis.com/projects/$(gcloud projects describe %s --format='value(projectNumber)')/locations/global/workloadIdentityPools/%s.svc.id.goog/subject/ns/%s/sa/%s"`,
		f.Puller.Cluster.Project, f.Puller.Cluster.Project, f.Namespace, f.Puller.Account)
}
