// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pulltext

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Book collects texts. Its zero value is empty; it is safe for concurrent use.
type Book struct {
	mu    sync.Mutex
	texts []Text
}

// Add takes a text down.
func (b *Book) Add(text Text) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.texts = append(b.texts, text)
}

// Write makes the texts test data of internal/pullfailure: a file for each cause in a folder that it makes anew. Versions
// are those of the runtime that the texts are of.
func (b *Book) Write(dir, versions string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	files := map[pullfailure.Cause][]string{}
	for _, text := range b.texts {
		block := fmt.Sprintf("== %s | %s | %s | %s\n%s\n", text.Fault, versions, text.Reason, text.Image, anywhere(text.Message))
		cause := text.Fault.TextCause()
		files[cause] = append(files[cause], block)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the former texts: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the texts: %w", err)
	}
	for cause, blocks := range files {
		slices.Sort(blocks)
		content := strings.Join(slices.Compact(blocks), "")
		if err := os.WriteFile(filepath.Join(dir, string(cause)+".txt"), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the texts: %w", err)
		}
	}
	return nil
}

// What differs from run to run: the ports of the client and of the registry, the node's folder, and the time.
var (
	folder     = regexp.MustCompile(`/\S+/containerd/tmpmounts/containerd-mount\d+`)
	clientPort = regexp.MustCompile(`127\.0\.0\.1:\d+->`)
	serverPort = regexp.MustCompile(`127\.0\.0\.1:\d{4,5}`)
	instant    = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ is after \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

// anywhere is a message as it would read in any run.
func anywhere(message string) string {
	message = folder.ReplaceAllString(message, "/var/lib/containerd/tmpmounts/containerd-mount1")
	message = serverPort.ReplaceAllString(message, "127.0.0.1:5000")
	message = clientPort.ReplaceAllString(message, "127.0.0.1:50000->")
	return instant.ReplaceAllString(message, "2026-11-20T10:00:00Z is after 2026-11-19T10:00:00Z")
}
