// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func TestLines(t *testing.T) {
	o := offer{protocols: []uint32{3, 2}, shm: true}
	if got := o.String(); got != "parley-child 1 protocols=3,2 shm=yes\n" {
		t.Errorf("offer: %q", got)
	}
	if got := agree(o, []uint32{1, 2}, false).String(); got != "parley-child 1 protocol=2 shm=no\n" {
		t.Errorf("answer: %q", got)
	}
	refusal := agree(o, []uint32{9}, true).String()
	if !strings.HasPrefix(refusal, `parley-child 1 error="no protocol in common`) {
		t.Errorf("refusal: %q", refusal)
	}
	a, err := parseAnswer(strings.TrimSuffix(refusal, "\n"))
	if err != nil || !errors.Is(o.check(a), fault.Protocol) {
		t.Errorf("the refusal reads as %+v, %v", a, err)
	}
	later, err := parseOffer("parley-child 1 protocols=5 colour=blue shm=yes")
	if err != nil || !later.shm || later.protocols[0] != 5 {
		t.Errorf("an unknown field: %+v, %v", later, err)
	}
}

func TestBadLines(t *testing.T) {
	for _, line := range []string{
		"", "parley-child", "parley-child 2 protocols=1", "parley-child 1", "parley-child 1 protocols=", "parley-child 1 protocols=-1",
		"parley-child 1 protocols=1,2,x", "parley-child 1 x", "GET / HTTP/1.1", "parley-child 1 protocols=" + strings.Repeat("1,", 40) + "1",
	} {
		if o, err := parseOffer(line); !errors.Is(err, fault.Protocol) {
			t.Errorf("%q is taken for an offer: %+v, %v", line, o, err)
		}
	}
	o := offer{protocols: []uint32{1}}
	for _, a := range []answer{{protocol: 2}, {protocol: 1, shm: true}, {refusal: "no"}} {
		if err := o.check(a); !errors.Is(err, fault.Protocol) {
			t.Errorf("%+v is accepted: %v", a, err)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("parley-child 1 protocols=3,2 shm=yes")
	f.Add("parley-child 1 protocol=2 shm=no")
	f.Add(`parley-child 1 error="no"`)
	f.Fuzz(func(t *testing.T, line string) {
		if o, err := parseOffer(line); err == nil {
			again, err := parseOffer(strings.TrimSuffix(o.String(), "\n"))
			if err != nil || len(again.protocols) != len(o.protocols) || again.shm != o.shm {
				t.Errorf("%q reads as %+v, which reads as %+v, %v", line, o, again, err)
			}
		}
		if a, err := parseAnswer(line); err == nil {
			again, err := parseAnswer(strings.TrimSuffix(a.String(), "\n"))
			if err != nil || again != a {
				t.Errorf("%q reads as %+v, which reads as %+v, %v", line, a, again, err)
			}
		}
	})
}

func TestPauses(t *testing.T) {
	p := &pauses{first: 100 * time.Millisecond, max: time.Second, perMinute: 6, next: 100 * time.Millisecond}
	now := time.Unix(1000, 0)
	for _, want := range []time.Duration{100, 200, 400, 800, 1000} {
		got, err := p.after(now, 0)
		if want *= time.Millisecond; err != nil || got > want || got < want/2 {
			t.Errorf("pause %v (%v), want %v less up to a half", got, err, want)
		}
	}
	if got, err := p.after(now, time.Hour); err != nil || got > p.first {
		t.Errorf("after a long life: %v, %v", got, err)
	}
	if _, err := p.after(now.Add(59*time.Second), 0); !errors.Is(err, fault.Exhausted) {
		t.Errorf("the seventh within a minute: %v", err)
	}
	if _, err := p.after(now.Add(61*time.Second), 0); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
