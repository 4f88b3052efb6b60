// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// StartMetadata serves the metadata server of one virtual machine on a port of
// its own and returns its URL; without "http://" it is a GCE_METADATA_HOST. It
// knows i as it is given, also when AddInstance was not called or says otherwise.
func (e *Emulator) StartMetadata(i Instance) (string, error) {
	listener, err := listen()
	if err != nil {
		return "", fmt.Errorf("start the metadata server of %s: %w", i.Name, err)
	}
	if !e.serve(listener, e.dispatch(func(r *http.Request) endpoint { return e.metadataEndpoint(i, r) })) {
		_ = listener.Close()
		return "", fmt.Errorf("start the metadata server of %s: %w", i.Name, net.ErrClosed)
	}
	return "http://" + listener.Addr().String(), nil
}

func (e *Emulator) metadataEndpoint(i Instance, r *http.Request) endpoint {
	return endpoint{
		method: "metadata", resource: i.resourceName() + r.URL.Path, refuse: refuseText,
		serve: func(w http.ResponseWriter, r *http.Request, _ identity) {
			w.Header().Set("Metadata-Flavor", "Google")
			w.Header().Set("Server", "Metadata Server for VM")
			e.serveMetadata(w, r, i)
		},
	}
}

func (e *Emulator) serveMetadata(w http.ResponseWriter, r *http.Request, i Instance) {
	if r.URL.Path == "/" {
		_, _ = w.Write([]byte("computeMetadata/\n")) // How clients find out that they run on a VM.
		return
	}
	if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
		refuseText(w, &refusal{http: http.StatusForbidden, message: "Missing required header \"Metadata-Flavor\": \"Google\""})
		return
	}
	asked := path.Clean(r.URL.Path)
	if account, token := strings.CutSuffix(asked, "/token"); token && e.knowsAccount(i, account) {
		e.serveToken(w, i)
		return
	}
	tree := e.metadataTree(i)
	if value, ok := tree[asked]; ok {
		w.Header().Set("Content-Type", "application/text")
		_, _ = w.Write([]byte(value))
		return
	}
	children := childrenOf(tree, asked)
	switch {
	case len(children) == 0:
		refuseText(w, &refusal{http: http.StatusNotFound, message: "The requested URL was not found on this server."})
	case r.URL.Query().Get("recursive") == "true":
		writeJSON(w, http.StatusOK, recursive(tree, asked))
	default:
		w.Header().Set("Content-Type", "application/text")
		_, _ = w.Write([]byte(strings.Join(children, "\n") + "\n"))
	}
}

const (
	metadataInstance = "/computeMetadata/v1/instance/"
	metadataProject  = "/computeMetadata/v1/project/"
	metadataAccounts = metadataInstance + "service-accounts/"
)

// metadataTree holds every value but tokens, by its path.
func (e *Emulator) metadataTree(i Instance) map[string]string {
	e.state.mu.Lock()
	number := strconv.FormatInt(e.state.projects[i.Project], 10)
	e.state.mu.Unlock()
	tree := map[string]string{
		metadataProject + "project-id":         i.Project,
		metadataProject + "numeric-project-id": number,
		metadataInstance + "id":                i.id(),
		metadataInstance + "name":              i.Name,
		metadataInstance + "hostname":          i.Name + ".c." + i.Project + ".internal",
		metadataInstance + "zone":              "projects/" + number + "/zones/" + i.Zone,
	}
	for name, value := range i.Attributes {
		tree[metadataInstance+"attributes/"+name] = value
	}
	if i.ServiceAccount == "" {
		return tree
	}
	for _, name := range []string{"default", i.ServiceAccount} {
		tree[metadataAccounts+name+"/email"] = i.ServiceAccount
		tree[metadataAccounts+name+"/aliases"] = "default"
		tree[metadataAccounts+name+"/scopes"] = strings.Join(i.scopes(), "\n")
	}
	return tree
}

func (e *Emulator) knowsAccount(i Instance, account string) bool {
	return i.ServiceAccount != "" && (account == metadataAccounts+"default" || account == metadataAccounts+i.ServiceAccount)
}

func (e *Emulator) serveToken(w http.ResponseWriter, i Instance) {
	who := identity{email: i.ServiceAccount, scopes: i.scopes()}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": e.state.mint(e.state.tokens, who, accessTokenLife),
		"expires_in":   int(accessTokenLife.Seconds()) - 1,
		"token_type":   "Bearer",
	})
}

// childrenOf lists a folder, with a slash behind the names of folders.
func childrenOf(tree map[string]string, folder string) []string {
	var names []string
	for key := range tree {
		if rest, below := strings.CutPrefix(key, folder+"/"); below {
			name, _, isFolder := strings.Cut(rest, "/")
			if isFolder {
				name += "/"
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// recursive is a folder as JSON; scopes and aliases are lists, keys in camel case.
func recursive(tree map[string]string, folder string) map[string]any {
	out := map[string]any{}
	for _, name := range childrenOf(tree, folder) {
		child, isFolder := strings.CutSuffix(name, "/")
		value := tree[folder+"/"+child]
		switch {
		case isFolder:
			out[camelCase(child)] = recursive(tree, folder+"/"+child)
		case child == "scopes" || child == "aliases":
			out[child] = strings.Fields(value)
		default:
			out[camelCase(child)] = value
		}
	}
	return out
}

// camelCase leaves emails, which hold dashes too, as they are.
func camelCase(name string) string {
	if strings.Contains(name, "@") {
		return name
	}
	words := strings.Split(name, "-")
	for n, word := range words[1:] {
		words[n+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
