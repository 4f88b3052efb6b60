// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// nobody is an address that nobody listens at: port 1 has been out of use for decades.
func nobody(*Emulator) (string, error) { return "http://127.0.0.1:1", nil }

// plain is a host that does not speak TLS, and is taken for one that does.
func plain(e *Emulator) (string, error) {
	url, err := storage(e)
	return strings.Replace(url, "http://", "https://", 1), err
}

// silent takes connections and never says a word.
func silent(e *Emulator) (string, error) {
	return e.listenRaw("https", func(net.Conn) { <-e.done })
}

// storage is a host that refuses everybody, whatever credential they send.
func storage(e *Emulator) (string, error) {
	listener, err := listen()
	if err != nil {
		return "", err
	}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(storagePage))
	})
	if !e.serve(listener, refuse) {
		return "", errors.Join(errClosed, listener.Close())
	}
	return "http://" + listener.Addr().String(), nil
}

func untrusted(e *Emulator) (string, error) {
	return e.listenTLS(func(*x509.Certificate) {})
}

func expired(e *Emulator) (string, error) {
	return e.listenTLS(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Hour) })
}

func otherName(e *Emulator) (string, error) {
	return e.listenTLS(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} })
}

var errClosed = errors.New("the emulator is closed")

// listenRaw serves connections itself until Close.
func (e *Emulator) listenRaw(scheme string, serve func(net.Conn)) (url string, err error) {
	listener, err := listen()
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", errors.Join(errClosed, listener.Close())
	}
	e.running.Go(func() {
		<-e.done
		_ = listener.Close() // It was open until now: nothing else can be wrong with it.
	})
	e.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // Closed.
			}
			e.running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	return scheme + "://" + listener.Addr().String(), nil
}

// listenTLS shows clients a certificate of its own making, as change wants it.
// They are to go away after the handshake.
func (e *Emulator) listenTLS(change func(*x509.Certificate)) (url string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	now := e.state.clock.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "emulated registry"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
	return e.listenRaw("https", func(conn net.Conn) {
		ctx, cancel := e.untilClosed()
		defer cancel()
		_ = tls.Server(conn, config).HandshakeContext(ctx) // It fails: that is what it is for.
	})
}
