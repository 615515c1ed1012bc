package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Reason is an error as a person may read it, for the fact of a Fault. Our own words stay; what the system or a library
// said in the middle of them ("open x: no such file or directory") is said in plain words instead.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, leaf := range foreign(err, nil) {
		_, words := explain(leaf)
		text = strings.ReplaceAll(text, leaf.Error(), words)
	}
	return plain(strings.TrimSuffix(text, "."))
}

// sentinels are errors of the standard library that have no type of their own.
var sentinels = []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.ErrShortWrite, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed,
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, net.ErrClosed}

// foreign gathers the outermost errors in a chain that are not ours.
func foreign(err error, found []error) []error {
	if err == nil {
		return found
	}
	for _, s := range sentinels {
		if err == s {
			return append(found, err)
		}
	}
	if _, known := phrase(err); known || !ours(err) {
		return append(found, err)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return foreign(e.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			found = foreign(inner, found)
		}
	}
	return found
}

// phrase puts into words what a library says in a text alone.
func phrase(err error) (string, bool) {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "json: unknown field "); ok {
		return "the field " + name + " is not known", true
	}
	if text == "http: request body too large" {
		return "it is too large", true
	}
	return "", false
}

// ours reports whether an error is of a type of this program, or a plain text made with fmt or errors.
func ours(err error) bool {
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := t.PkgPath()
	return p == "fmt" || p == "errors" || p == "main" || strings.HasPrefix(p, "ingot/")
}

// explained is the Fault of an error that has none: what the system, the network or a stop said.
func explained(err error) *Fault {
	for _, leaf := range foreign(err, nil) {
		if c, words := explain(leaf); c != CodeInternal {
			return Faultf(c, "%s.", capital(words))
		}
	}
	return &Fault{Code: CodeInternal}
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// explain says a foreign error in plain words, and gives the code that it has where nothing better is known.
func explain(err error) (Code, string) {
	var (
		op     *net.OpError
		dns    *net.DNSError
		path   *fs.PathError
		link   *os.LinkError
		call   *os.SyscallError
		errno  syscall.Errno
		syntax *json.SyntaxError
		field  *json.UnmarshalTypeError
		number *strconv.NumError
		parse  *time.ParseError
	)
	if words, ok := phrase(err); ok {
		return CodeInternal, words
	}
	switch {
	case errors.Is(err, context.Canceled):
		return CodeStopped, "it was stopped"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return CodeFull, "no room is left" + where(err)
	case errors.As(err, &dns):
		return CodeNetwork, fmt.Sprintf("the name %q is not known", dns.Name)
	case errors.As(err, &op):
		at := "the network"
		if op.Addr != nil {
			at = op.Addr.String()
		}
		return CodeNetwork, at + ": " + cause(op.Err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return CodeNetwork, "no answer came in time"
	case errors.As(err, &path):
		return CodeFile, path.Path + ": " + cause(path.Err)
	case errors.As(err, &link):
		return CodeFile, link.New + ": " + cause(link.Err)
	case errors.As(err, &syntax):
		return CodeInternal, fmt.Sprintf("it is no JSON from byte %d on", syntax.Offset)
	case errors.As(err, &field):
		return CodeInternal, fmt.Sprintf("the field %q holds a %s", field.Field, field.Value)
	case errors.As(err, &number):
		return CodeInternal, fmt.Sprintf("%q is no number that fits", number.Num)
	case errors.As(err, &parse):
		return CodeInternal, fmt.Sprintf("%q is no time", parse.Value)
	case errors.As(err, &call), errors.As(err, &errno):
		return CodeInternal, cause(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return CodeInternal, "it ends too early"
	}
	return CodeInternal, cause(err)
}

// where names the file of an error, if it has one.
func where(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return " for " + path.Path
	}
	return ""
}

// cause says what the system answered.
func cause(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.words
		}
	}
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		return "no answer came in time"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Sprintf("the system refuses it (number %d)", int(errno))
	}
	return "something unexpected"
}

// reasons are the answers of a system that people meet.
var reasons = []struct {
	err   error
	words string
}{
	{fs.ErrNotExist, "it is not there"},
	{fs.ErrPermission, "this user may not do that"},
	{fs.ErrExist, "it is there already"},
	{fs.ErrClosed, "it is closed already"},
	{net.ErrClosed, "it is closed already"},
	{syscall.ENOTDIR, "a part of the path is no folder"},
	{syscall.EISDIR, "it is a folder"},
	{syscall.ENOTEMPTY, "the folder is not empty"},
	{syscall.EROFS, "the file system is read-only"},
	{syscall.EBUSY, "something else uses it"},
	{syscall.ETXTBSY, "it is a program that runs"},
	{syscall.EMFILE, "too many files are open"},
	{syscall.ENFILE, "too many files are open"},
	{syscall.ENAMETOOLONG, "the name is too long"},
	{syscall.ELOOP, "its links lead in a circle"},
	{syscall.EIO, "the drive reports an error"},
	{syscall.ENXIO, "there is no such drive any more"},
	{syscall.ENODEV, "there is no such drive or adapter any more"},
	{syscall.ENOMEM, "the memory is used up"},
	{syscall.EINVAL, "the system does not take that value"},
	{syscall.EFBIG, "it is too large"},
	{syscall.EXDEV, "it lies on another file system"},
	{syscall.ECONNREFUSED, "nobody answers there"},
	{syscall.ECONNRESET, "the other side broke off"},
	{syscall.EPIPE, "the other side broke off"},
	{syscall.ETIMEDOUT, "no answer came in time"},
	{syscall.EHOSTUNREACH, "there is no way to it"},
	{syscall.ENETUNREACH, "there is no way to it"},
	{syscall.ENETDOWN, "the network is down"},
	{syscall.EADDRINUSE, "another program has that port"},
	{syscall.EADDRNOTAVAIL, "no interface has that address"},
}
