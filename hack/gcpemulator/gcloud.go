// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

// GcloudEnvironment is what makes the gcloud command line speak to the emulator
// at url and to nothing else: no credentials, no prompts, and its files in the
// folder config, which is the caller's to make and to remove. It is meant to be
// added to a process's environment.
//
// Who asks is then nobody, which may do all unless RestrictCaller says otherwise;
// to ask as somebody, write Emulator.Token to a file and add
// CLOUDSDK_AUTH_DISABLE_CREDENTIALS=false and CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=FILE.
func GcloudEnvironment(url, config string) []string {
	environment := []string{
		"CLOUDSDK_CONFIG=" + config,
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_CORE_CHECK_GCE_METADATA=false",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_SURVEY_DISABLE_PROMPTS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=" + url + "/compute/v1/",
	}
	for _, api := range []string{
		"ARTIFACTREGISTRY", "CLOUDBILLING", "CLOUDRESOURCEMANAGER", "CONTAINER", "IAM", "LOGGING",
		"POLICYTROUBLESHOOTER", "SERVICEUSAGE",
	} {
		environment = append(environment, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+api+"="+url+"/")
	}
	return environment
}
