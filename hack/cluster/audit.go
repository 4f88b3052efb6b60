// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// AuditEvent is the part of an audit event that tells a request.
type AuditEvent struct {
	Verb string
	User struct{ Username string }
	// ObjectRef is nil where nothing was asked for of objects.
	ObjectRef  *struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	RequestURI string
	// ResponseStatus is that of the answer.
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
	Annotations              map[string]string
}

// AuditEvents reads the audit log at path, and what it was rotated to: all that the user has asked for, in order of arrival. A
// watch stands there once it has ended.
func AuditEvents(path, user string) ([]AuditEvent, error) {
	extension := filepath.Ext(path)
	files, err := filepath.Glob(strings.TrimSuffix(path, extension) + "*" + extension)
	if err != nil {
		return nil, fmt.Errorf("find the audit log: %w", err)
	}
	var all []AuditEvent
	for _, file := range files {
		found, err := auditEventsIn(file, user)
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b AuditEvent) int { return a.RequestReceivedTimestamp.Compare(b.RequestReceivedTimestamp) })
	return all, nil
}

func auditEventsIn(path, user string) ([]AuditEvent, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []AuditEvent
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e AuditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		if e.User.Username == user {
			found = append(found, e)
		}
	}
	return found, lines.Err()
}
