// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, got := range obstacles(t, newClient(t, Options{Endpoint: "http://" + address, Troubleshoot: true})) {
		if want := address + " cannot be reached: connection refused"; got.Kind != diagnosis.Unavailable || got.Detail != want {
			t.Errorf("it must say what can't be reached, got %+v, want %q", got, want)
		}
	}
}

// TestAConnectionIsReset at each try, from a port that is another each time.
func TestAConnectionIsReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			resetAfterRequest(t, connection)
		}
	}()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	want := listener.Addr().String() + " broke off: connection reset by peer"
	for _, got := range obstacles(t, newClient(t, Options{Endpoint: "http://" + listener.Addr().String(), Troubleshoot: true})) {
		if got.Kind != diagnosis.Unavailable || got.Detail != want {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}

// resetAfterRequest closes the connection in the rudest way there is.
func resetAfterRequest(t *testing.T, connection net.Conn) {
	t.Helper()
	if _, err := connection.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			t.Error(err)
		}
	}
	if err := connection.Close(); err != nil {
		t.Error(err)
	}
}

func TestACertificateIsNotTrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // It complains of each client that does not trust it.
	server.StartTLS()
	t.Cleanup(server.Close)
	got := newClient(t, Options{Endpoint: server.URL}).Repository(t.Context(), services).Obstacle
	if got.Kind != diagnosis.Unavailable || !strings.Contains(got.Detail, "certificate signed by unknown authority") {
		t.Errorf("got %+v, want the reason", got)
	}
}

// TestDetailsAreTheSameAtEachTry plays errors as Go's own network code makes
// them, from another port and at another time at each try.
func TestDetailsAreTheSameAtEachTry(t *testing.T) {
	for name, tc := range map[string]struct {
		err  func(try int) error // What the client's transport says.
		bare bool                // It comes without the address that was asked.
		want string
	}{
		"reset while the answer is read": {
			err: func(try int) error {
				return operation("read", try, os.NewSyscallError("read", syscall.ECONNRESET))
			},
			bare: true, want: "Google broke off: connection reset by peer",
		},
		"pipe": {
			err: func(try int) error {
				return operation("write", try, os.NewSyscallError("write", syscall.EPIPE))
			},
			want: "a.example broke off: broken pipe",
		},
		"refused": {
			err: func(try int) error {
				return operation("dial", try, os.NewSyscallError("connect", syscall.ECONNREFUSED))
			},
			want: "a.example cannot be reached: connection refused",
		},
		"no time to connect": {
			err:  func(try int) error { return operation("dial", try, os.ErrDeadlineExceeded) },
			want: "a.example cannot be reached: no answer in time",
		},
		"no such host": {
			err: func(try int) error {
				return operation("dial", try, &net.DNSError{Err: "no such host", Name: "a.example", Server: fmt.Sprint("10.0.0.", try, ":53"), IsNotFound: true})
			},
			want: "a.example cannot be reached: no such host",
		},
		"name server silent": {
			err: func(try int) error {
				return operation("dial", try, &net.DNSError{Err: fmt.Sprintf("read udp 10.0.0.9:%d->10.0.0.1:53: i/o timeout", try), Name: "a.example", IsTimeout: true})
			},
			want: "a.example cannot be reached: its name cannot be looked up",
		},
		"certificate expired": {
			err: func(try int) error {
				return x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired, Detail: fmt.Sprint("current time ", try)}
			},
			want: "a.example broke off: its certificate has expired or is not yet valid",
		},
		"certificate of others": {
			err:  func(int) error { return x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a.example"} },
			want: "a.example broke off: its certificate is for another name",
		},
		"closed":        {err: func(int) error { return io.ErrUnexpectedEOF }, want: "a.example broke off: the connection was closed"},
		"plain text":    {err: func(int) error { return fmt.Errorf("http2: %w", errors.New("client connection lost")) }, want: "a.example broke off: client connection lost"},
		"with a number": {err: func(try int) error { return fmt.Errorf("stream error: stream ID %d; REFUSED", try) }, want: "a.example broke off"},
		"IPv6":          {err: func(int) error { return errors.New("read tcp [fe80::a]:443: odd") }, want: "a.example broke off"},
		"nothing said":  {err: func(int) error { return errors.New("") }, want: "a.example broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			for try := range 2 {
				err := tc.err(40000 + try)
				if !tc.bare {
					err = &url.Error{Op: "Get", URL: "https://a.example/v1/projects/acme", Err: err}
				}
				if got := faultOfTransport(err); got.detail != tc.want || got.kind != unavailable {
					t.Errorf("got %+v, want %q", got, tc.want)
				}
			}
		})
	}
}

// operation is the error of one on a connection from a port of ours.
func operation(op string, port int, err error) error {
	return &net.OpError{
		Op: op, Net: "tcp", Err: err,
		Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: port}, Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443},
	}
}

// TestRefusedBeforeAnythingWasSent is no write of unknown outcome.
func TestRefusedBeforeAnythingWasSent(t *testing.T) {
	dial := faultOfTransport(operation("dial", 1, syscall.ECONNREFUSED))
	read := faultOfTransport(operation("read", 1, syscall.ECONNRESET))
	if dial.uncertain || !read.uncertain {
		t.Errorf("uncertain: %t when nothing was sent, %t when something was", dial.uncertain, read.uncertain)
	}
}
