// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"strings"
	"testing"
	"time"
)

// benchText is about 1 KB as containerd gives it for a refused download, of which the
// registry's answer is the last part.
func benchText() Text {
	const image = "us-central1-docker.pkg.dev/acme-prod/services/team/checkout/server-with-a-rather-long-name-of-its-own-for-the-sake-of-length:1.8.2-20261120-abcdef0123456789"
	message := `Back-off pulling image "` + image + `": ErrImagePull: failed to pull and unpack image "` + image +
		`": failed to resolve reference "` + image + `": unexpected status from HEAD request to https://us-central1-docker.pkg.dev` +
		`/v2/acme-prod/services/team/checkout/server-with-a-rather-long-name-of-its-own-for-the-sake-of-length/manifests/1.8.2-20261120-abcdef0123456789: 403 Forbidden` + "\n" +
		`denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource ` +
		`"projects/acme-prod/locations/us-central1/repositories/services" (or it may not exist)`
	return Text{Message: message, Image: image, Reason: "ImagePullBackOff"}
}

// BenchmarkClassifyLinear shows how much more 1 MB costs than 1 KB: no more than a
// thousand times as much.
func BenchmarkClassifyLinear(b *testing.B) {
	short, long := benchText(), benchText()
	long.Message = strings.Repeat(long.Message, 1<<20/len(long.Message))
	var took [2]time.Duration
	for b.Loop() {
		for i, text := range []Text{short, long} {
			before := b.Elapsed()
			Classify(text)
			took[i] += b.Elapsed() - before
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "times-1KB")
}

// BenchmarkClassify shows what is promised: at most 5 µs and 4 allocations for 1 KB.
func BenchmarkClassify(b *testing.B) {
	for name, text := range map[string]Text{
		"refused": benchText(),
		"prose":   {Message: strings.Repeat("the registry could not be read and nobody knows the cause. ", 18)[:1024]},
		"1MB":     {Message: strings.Repeat("<p>403 Forbidden denied: not found</p>\n", 27000)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(text)
			}
		})
	}
}
