// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func TestParse(t *testing.T) {
	here, err := filepath.Abs("x.sock")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]Address{
		"shm://orders":              {Scheme: SHM, Name: "orders"},
		"unix://ana@orders.v1":      {Scheme: Unix, User: "ana", Name: "orders.v1"},
		"unix://1000@a":             {Scheme: Unix, User: "1000", Name: "a"},
		"shm:///run/../tmp/x.sock":  {Scheme: SHM, Path: "/tmp/x.sock"},
		"shm://o?ring=256KiB":       {Scheme: SHM, Name: "o", Query: map[string]string{"ring": "256KiB"}},
		"shm:///t/x?prefault=1":     {Scheme: SHM, Path: "/t/x", Query: map[string]string{"prefault": "true"}},
		"unix:///tmp/a?b":           {Scheme: Unix, Path: "/tmp/a?b"},
		"unix:/tmp/x.sock":          {Scheme: Unix, Path: "/tmp/x.sock"},
		"unix:x.sock":               {Scheme: Unix, Path: here},
		"tcp://127.0.0.1:7000":      {Scheme: TCP, Host: "127.0.0.1:7000"},
		"tcp://:7000?insecure=true": {Scheme: TCP, Host: ":7000", Query: map[string]string{"insecure": "true"}},
		"tls://[::1]:7000":          {Scheme: TLS, Host: "[::1]:7000"},
		"dns:///example.org:443":    {Scheme: TCP, Host: "example.org:443"},
		"fifo:///tmp/a":             {Scheme: FIFO, Path: "/tmp/a"},
		"exec:sort -r 'a b'":        {Scheme: Exec, Args: []string{"sort", "-r", "a b"}},
		"exec:prog?parley=true x":   {Scheme: Exec, Args: []string{"prog", "x"}, Query: map[string]string{"parley": "true"}},
		"stdio:":                    {Scheme: Stdio},
		"inproc://bus":              {Scheme: Inproc, Name: "bus"},
		"mem://desk":                {Scheme: Mem, Name: "desk"},
		"mem://ana@desk/topic/a.b":  {Scheme: Mem, User: "ana", Name: "desk", Item: "topic/a.b"},
		"exec:\"a\\\"b\" \\$x ''":   {Scheme: Exec, Args: []string{"a\"b", "$x", ""}},
	} {
		got, err := Parse(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for s, why := range map[string]string{
		"":                              "no scheme",
		"orders":                        "no scheme",
		"smh://x":                       "unknown scheme",
		"shm:orders":                    "shm://NAME",
		"shm://":                        "empty",
		"shm://.hidden":                 "starts with",
		"shm://a/b":                     "contains",
		"mem:desk":                      "mem://NAME",
		"mem://desk/prices":             "nothing of an engine",
		"mem://desk/topic/":             "empty",
		"mem://desk/topic/a/b":          "contains",
		"shm://@x":                      "no user name",
		"unix://a b@x":                  "no user name",
		"unix:///tmp/a\x00b":            "zero byte",
		"tcp://127.0.0.1":               "not HOST:PORT",
		"tcp://h:1?insecur=1":           "does not know the option",
		"tcp://h:1?insecure=1":          "write true or false",
		"tls://h:1?insecure=true":       "does not know the option",
		"unix://a?ring=16KiB":           "does not know the option \"ring\"",
		"tcp://h:1?ring=16KiB":          "does not know the option \"ring\": it knows [\"insecure\"]",
		"shm://a?rings=16KiB":           "it knows [\"prefault\" \"ring\"]",
		"shm://a?ring=8KiB":             "power of two from 16KiB to 1GiB",
		"shm://a?ring=2GiB":             "power of two",
		"shm://a?ring=48KiB":            "power of two",
		"shm://a?ring=-1":               "power of two",
		"shm://a?ring=":                 "power of two",
		"shm://a?ring=4398046511104GiB": "power of two",
		"shm://a?ring=1MiB&ring=1MiB":   "write it once",
		"shm://a?prefault=maybe":        "write true or false",
		"mem://a?ring=16KiB":            "contains",
		"fifo://a":                      "absolute path",
		"exec:":                         "no program",
		"exec:'a":                       "not closed",
		"exec:a\\":                      "backslash",
		"stdio:x":                       "nothing after",
		"inproc:x":                      "inproc://NAME",
	} {
		_, err := Parse(s)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("Parse(%q): %v, want fault.Invalid and %q", s, err, why)
		}
	}
}

// FuzzParse wants that what Parse accepts, String writes and Parse reads back.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"shm://orders", "shm://o?ring=65536&prefault=0", "unix://ana@o", "unix:///tmp/x", "unix:rel", "tcp://[::1]:1?insecure=false", "dns:///h:1",
		"fifo:///a", "exec:a?parley=true 'b c' \"d\\\"\" ", "exec:'a?b'", "stdio:", "inproc://x", "shm:////x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("Parse(%q): %v is not fault.Invalid", s, err)
			}
			return
		}
		b, err := Parse(a.String())
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("Parse(%q) = %+v, but Parse(%q) = %+v, %v", s, a, a.String(), b, err)
		}
	})
}
