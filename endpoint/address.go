// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
)

// Scheme is the part of an address before the colon.
type Scheme string

// The schemes of connections.
const (
	SHM    Scheme = "shm"    // shm://NAME, shm://USER@NAME, shm:///ABS/PATH; ?ring=SIZE, ?prefault=true
	Unix   Scheme = "unix"   // unix://NAME, unix://USER@NAME, unix:///ABS/PATH
	TCP    Scheme = "tcp"    // tcp://HOST:PORT
	TLS    Scheme = "tls"    // tls://HOST:PORT
	FIFO   Scheme = "fifo"   // fifo:///ABS/PATH
	Exec   Scheme = "exec"   // exec:PROGRAM ARGS
	Stdio  Scheme = "stdio"  // stdio:
	Inproc Scheme = "inproc" // inproc://NAME
)

// The schemes of engines.
const (
	Mem Scheme = "mem" // mem://NAME, mem://USER@NAME; what is in it: mem://NAME/KIND/ITEM
)

// Schemes returns every scheme of a connection.
func Schemes() []Scheme { return []Scheme{Inproc, SHM, Unix, TCP, TLS, FIFO, Exec, Stdio} }

// Address is a parsed address. Only the fields of its scheme are set.
type Address struct {
	Scheme Scheme
	User   string            // shm, unix, mem: whose name it is; empty for our own
	Name   string            // shm, unix, inproc, mem
	Item   string            // mem: one thing of the engine, "KIND/NAME"; empty for the engine itself
	Path   string            // shm, unix, fifo: an absolute path instead of a name
	Host   string            // tcp, tls: "HOST:PORT"
	Args   []string          // exec: the program and its arguments
	Query  map[string]string // ?key=value&…, checked against the scheme's list
}

// Parse reads an address, in Parley's spelling or in gRPC's
// ("unix:path", "unix:///path", "dns:///host:port"). Its error is
// fault.Invalid and says what would be right.
func Parse(s string) (Address, error) {
	a, err := parse(s)
	if err != nil {
		return Address{}, fault.New(fault.Invalid, "address", fmt.Sprintf("%q", s), err)
	}
	return a, nil
}

func parse(s string) (Address, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" {
		return Address{}, fmt.Errorf("no scheme: write one of %s", examples)
	}
	if strings.ContainsRune(s, 0) {
		return Address{}, errors.New("it contains a zero byte")
	}
	switch Scheme(scheme) {
	case SHM, Unix:
		return parseNamed(Scheme(scheme), rest)
	case TCP, TLS:
		return parseHost(Scheme(scheme), rest)
	case "dns":
		return parseHost(TCP, "//"+strings.TrimLeft(rest, "/"))
	case FIFO:
		path, ok := strings.CutPrefix(rest, "//")
		if !ok || !filepath.IsAbs(path) {
			return Address{}, errors.New("a fifo needs an absolute path: fifo:///tmp/NAME")
		}
		return Address{Scheme: FIFO, Path: filepath.Clean(path)}, nil
	case Exec:
		return parseExec(rest)
	case Stdio:
		if rest != "" {
			return Address{}, errors.New("stdio: takes nothing after the colon")
		}
		return Address{Scheme: Stdio}, nil
	case Inproc:
		name, ok := strings.CutPrefix(rest, "//")
		if !ok {
			return Address{}, errors.New("write inproc://NAME")
		}
		return Address{Scheme: Inproc, Name: name}, checkName(name)
	case Mem:
		return parseMem(rest)
	}
	return Address{}, fmt.Errorf("unknown scheme %q: write one of %s", scheme, examples)
}

const examples = "shm://NAME, unix://NAME, tcp://HOST:PORT, tls://HOST:PORT, fifo:///PATH, exec:PROGRAM ARGS, stdio:, inproc://NAME"

func parseNamed(scheme Scheme, rest string) (Address, error) {
	body, ok := strings.CutPrefix(rest, "//")
	if !ok { // gRPC's unix:relative/path and unix:/abs/path
		if scheme != Unix || rest == "" {
			return Address{}, fmt.Errorf("write %s://NAME or %s:///ABS/PATH", scheme, scheme)
		}
		abs, err := filepath.Abs(rest)
		return Address{Scheme: scheme, Path: abs}, err
	}
	var query map[string]string
	var err error
	if scheme == SHM || !strings.HasPrefix(body, "/") { // a path of unix may have a '?', as with gRPC
		if body, query, err = cutQuery(scheme, body); err != nil {
			return Address{}, err
		}
	}
	if strings.HasPrefix(body, "/") {
		return Address{Scheme: scheme, Path: filepath.Clean(body), Query: query}, nil
	}
	a, err := parseOwned(scheme, body)
	a.Query = query
	return a, err
}

// parseOwned reads NAME or USER@NAME.
func parseOwned(scheme Scheme, body string) (Address, error) {
	a := Address{Scheme: scheme, Name: body}
	if user, name, ok := strings.Cut(body, "@"); ok {
		if user == "" || strings.ContainsAny(user, "/ ") {
			return Address{}, fmt.Errorf("%q is no user name: write %s://USER@NAME", user, scheme)
		}
		a.User, a.Name = user, name
	}
	return a, checkName(a.Name)
}

// parseMem reads an engine's name and, after a slash, what of it is meant.
func parseMem(rest string) (Address, error) {
	body, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return Address{}, errors.New("write mem://NAME")
	}
	engine, item, within := strings.Cut(body, "/")
	a, err := parseOwned(Mem, engine)
	if err != nil || !within {
		return a, err
	}
	a.Item = item
	kind, name, ok := strings.Cut(item, "/")
	if !ok {
		return a, fmt.Errorf("%q is nothing of an engine: write mem://NAME, or mem://NAME/topic/ITEM", item)
	}
	return a, errors.Join(checkName(kind), checkName(name))
}

func checkName(name string) error { return rundir.CheckName(name) }

func parseHost(scheme Scheme, rest string) (Address, error) {
	body, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return Address{}, fmt.Errorf("write %s://HOST:PORT", scheme)
	}
	body, query, err := cutQuery(scheme, body)
	if err != nil {
		return Address{}, err
	}
	if _, port, err := net.SplitHostPort(body); err != nil || port == "" {
		return Address{}, fmt.Errorf("%q is not HOST:PORT: write %s://127.0.0.1:7000 or %s://[::1]:7000", body, scheme, scheme)
	}
	return Address{Scheme: scheme, Host: body, Query: query}, nil
}

func parseExec(rest string) (Address, error) {
	args, err := splitWords(rest)
	if err != nil {
		return Address{}, err
	}
	if len(args) == 0 || args[0] == "" {
		return Address{}, errors.New("no program: write exec:PROGRAM ARGS")
	}
	prog, query, err := cutQuery(Exec, args[0])
	if err != nil {
		return Address{}, err
	}
	if args[0] = prog; prog == "" {
		return Address{}, errors.New("no program before the '?': write exec:PROGRAM ARGS")
	}
	return Address{Scheme: Exec, Args: args, Query: query}, nil
}

// cutQuery splits "body?key=value&…" and refuses a key that the scheme does
// not know, so that a misspelt option is never ignored.
func cutQuery(scheme Scheme, s string) (string, map[string]string, error) {
	body, raw, ok := strings.Cut(s, "?")
	if !ok {
		return s, nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", nil, fmt.Errorf("the part after '?' is malformed: %w", err)
	}
	if len(values) == 0 {
		return body, nil, nil
	}
	query := make(map[string]string, len(values))
	for key, vs := range values {
		check, known := options[scheme][key]
		if !known {
			return "", nil, fmt.Errorf("%s: does not know the option %q: it knows %q", scheme, key, slices.Sorted(maps.Keys(options[scheme])))
		}
		if len(vs) != 1 {
			return "", nil, fmt.Errorf("the option %s is there %d times: write it once", key, len(vs))
		}
		if query[key], err = check(vs[0]); err != nil {
			return "", nil, fmt.Errorf("the option %s %w", key, err)
		}
	}
	return body, query, nil
}

// Flag reports whether the query says key=true.
func (a Address) Flag(key string) bool { return a.Query[key] == "true" }

// String returns the address in Parley's spelling; Parse reads it back.
func (a Address) String() string {
	switch a.Scheme {
	case Stdio:
		return "stdio:"
	case Exec:
		args := append([]string(nil), a.Args...)
		if len(args) > 0 {
			args[0] += a.query()
		}
		return "exec:" + joinWords(args)
	case TCP, TLS:
		return string(a.Scheme) + "://" + a.Host + a.query()
	case SHM, Unix, FIFO, Inproc, Mem: // below
	}
	body := a.Path
	if body == "" {
		body = a.Name
		if a.User != "" {
			body = a.User + "@" + a.Name
		}
		if a.Item != "" {
			body += "/" + a.Item
		}
	}
	return string(a.Scheme) + "://" + body + a.query()
}

func (a Address) query() string {
	if len(a.Query) == 0 {
		return ""
	}
	v := url.Values{}
	for key, value := range a.Query {
		v.Set(key, value)
	}
	return "?" + v.Encode()
}

// Resource is the name by which policy knows the endpoint: the address
// without its options.
func (a Address) Resource() string {
	a.Query = nil
	return "endpoint:" + a.String()
}

// Addr makes a net.Addr of the address, for backends with none of their own.
func (a Address) Addr() net.Addr { return netAddr{a} }

type netAddr struct{ a Address }

func (n netAddr) Network() string { return string(n.a.Scheme) }
func (n netAddr) String() string  { return n.a.String() }
