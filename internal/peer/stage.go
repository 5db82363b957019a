// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport/shm"
)

// Limits of a child.
const (
	startTime = 20 * time.Second // until it listens: a busy machine is slow
	endTime   = 5 * time.Second  // to end by itself once told
	failTime  = time.Second      // likewise, once something else has gone wrong
)

// Names in the certificates of a Stage.
const (
	ServerName   = "spiffe://demo/server"
	ClientName   = "spiffe://demo/client"
	StrangerName = "spiffe://demo/stranger"
)

// Stage is where peers meet: a directory of its own, a certificate authority
// and a runtime directory in there. Everything goes with Close.
type Stage struct {
	// Program is how to start this program as a peer: its path and arguments,
	// to which the role is appended.
	Program []string

	// Stderr gets what peers write there. Default: discarded.
	Stderr io.Writer

	// Spin is how both sides of shm wait. Default shm.Auto.
	Spin shm.Spin

	dir       string
	reachable bool // by other users

	certificates func() error
}

// NewStage makes the directory. program is Stage.Program.
func NewStage(program []string) (*Stage, error) {
	dir, reachable, err := meetingPlace()
	if err != nil {
		return nil, fault.Wrap("make a directory", "", err)
	}
	s := &Stage{Program: program, dir: dir, reachable: reachable}
	s.certificates = sync.OnceValue(s.issue)
	return s, nil
}

// Dir is the stage's directory.
func (s *Stage) Dir() string { return s.dir }

// Reachable reports whether other users can pass to the stage's sockets.
func (s *Stage) Reachable() bool { return s.reachable }

// Close removes everything. Peers have to be closed before.
func (s *Stage) Close() error { return os.RemoveAll(s.dir) }

// longestStage leaves room for a socket's name below the limit on its path.
const longestStage = 80

// meetingPlace makes a directory through which other users can pass to a
// socket, if there is one such place, for policy to be what refuses them.
func meetingPlace() (dir string, reachable bool, err error) {
	var errs []error
	for _, wanted := range []bool{true, false} {
		for _, place := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
			place, err := filepath.EvalSymlinks(place)
			if err != nil || len(place) > longestStage || wanted && !open(place) {
				continue
			}
			dir, err := os.MkdirTemp(place, "parley-")
			if err == nil {
				return dir, wanted, os.Chmod(dir, 0o711)
			}
			errs = append(errs, err)
		}
	}
	return "", false, errors.Join(append(errs, errors.New("there is no directory for temporary files with a short name"))...)
}

// open reports whether everybody may pass through dir.
func open(dir string) bool {
	for {
		st, err := os.Stat(dir)
		if err != nil || st.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// environment of a child: ours, with a runtime directory that is the stage's
// unless the person has chosen one.
func (s *Stage) environment() []string {
	const name = "PARLEY_RUNTIME_DIR"
	env := os.Environ()
	if os.Getenv(name) == "" {
		env = append(slices.Clip(env), name+"="+filepath.Join(s.dir, "run"))
	}
	return env
}

func (s *Stage) caDir() string { return filepath.Join(s.dir, "ca") }

// issue makes the authority and a certificate for each name.
func (s *Stage) issue() error {
	if err := ca.Init(s.caDir(), "Parley, for a moment", time.Hour); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for file, spiffe := range map[string]string{"server": ServerName, "client": ClientName, "stranger": StrangerName} {
		if _, err := ca.Issue(s.caDir(), ca.Request{SPIFFE: spiffe, Name: file, IPs: loopback, Validity: time.Hour}); err != nil {
			return err
		}
	}
	return nil
}

// as fills in the certificate of one of the names.
func (s *Stage) as(role Role, file string) (Role, error) {
	if err := s.certificates(); err != nil {
		return role, err
	}
	role.Cert = filepath.Join(s.caDir(), file+".crt")
	role.Key = filepath.Join(s.caDir(), file+".key")
	role.CA = filepath.Join(s.caDir(), ca.CertName)
	return role, nil
}
