// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package input opens what -f names and reads it line by line, so that errors
// can name file and line. It does not know what the lines mean.
package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Stdin is the name by which -f means the standard input.
const Stdin = "-"

// File is an opened input.
type File struct {
	// Name is what errors call it.
	Name string
	// Reader gives its bytes without a byte order mark.
	io.Reader

	close func() error
}

// errUTF16 is about files that PowerShell's redirection has written.
var errUTF16 = errors.New("the text is UTF-16; save it as UTF-8, in PowerShell with: | Out-File -Encoding utf8 FILE")

// Open opens the named file, or takes stdin for "-".
func Open(name string, stdin io.Reader) (*File, error) {
	f := &File{Name: name, Reader: stdin, close: func() error { return nil }}
	if name == Stdin {
		f.Name = "standard input"
		if stdin == nil {
			f.Reader = bytes.NewReader(nil)
		}
		return f, nil
	}
	opened, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder; name a file", name)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	f.Reader, f.close = opened, opened.Close
	return f, nil
}

// Close closes a file that was opened; the standard input stays open.
func (f *File) Close() error { return f.close() }

// MaxLine is the longest line that is read, in bytes. The longest message that
// a pod can carry is far below it.
const MaxLine = 1 << 20

// Lines reads f line by line in constant memory.
type Lines struct {
	name    string
	scanner *bufio.Scanner
	number  int
	err     error
}

// NewLines reads the lines of f.
func NewLines(f *File) *Lines {
	s := bufio.NewScanner(f.Reader)
	s.Buffer(make([]byte, 64<<10), MaxLine+len("\r\n"))
	return &Lines{name: f.Name, scanner: s}
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	utf16Marks    = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}
)

// Next gives the next line that is not empty, without its end. It is valid until
// the next call. After the last line and after an error there is none.
func (l *Lines) Next() ([]byte, bool) {
	for l.err == nil && l.scanner.Scan() {
		l.number++
		line := l.scanner.Bytes()
		if l.number == 1 {
			var err error
			if line, err = unmarked(line); err != nil {
				l.err = l.Wrap(err)
			}
		}
		if len(line) > MaxLine {
			l.err = l.Wrap(bufio.ErrTooLong)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && l.err == nil {
			return line, true
		}
	}
	if err := l.scanner.Err(); err != nil && l.err == nil {
		l.number++
		l.err = l.Wrap(err)
	}
	return nil, false
}

// unmarked is the beginning of a text without the mark of its encoding, which must be UTF-8.
func unmarked(text []byte) ([]byte, error) {
	for _, mark := range utf16Marks {
		if bytes.HasPrefix(text, mark) {
			return nil, errUTF16
		}
	}
	return bytes.TrimPrefix(text, byteOrderMark), nil
}

// Err is what ended the lines early.
func (l *Lines) Err() error { return l.err }

// Wrap makes err name the file and the line that was read last.
func (l *Lines) Wrap(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("the line is longer than %d bytes; a message has its place in one line", MaxLine)
	}
	return fmt.Errorf("%s:%d: %w", l.name, l.number, err)
}

// Text reads all of f.
func Text(f *File) ([]byte, error) {
	data, err := io.ReadAll(f.Reader)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if data, err = unmarked(data); err != nil {
		return nil, fmt.Errorf("%s:1: %w", f.Name, err)
	}
	return data, nil
}
