// SPDX-License-Identifier: Apache-2.0

// Policy is a server that admits whom a file says. The file changes while the
// server runs, and a version with a mistake changes nothing.
//
// It prints:
//
//	who may connect by the first file?
//	  uid:4242: allowed by rule 1 (policy.yaml:2)
//	  uid:4343: no rule allows
//	  ourselves, by dialling: admitted
//	a file with a mistake is refused: line 4, unknown action "conect" (did you mean connect?)
//	the next one shuts us out: denied
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy/file"
	"github.com/parley-ipc/parley/transport"
)

const address = "shm://example-policy"

// rules is a file with one rule.
func rules(who, may, more string) []byte {
	return []byte("rules:\n- who: [\"" + who + "\"]\n  on: [\"endpoint:" + address + "\"]\n  may: [" + may + "]\n" + more)
}

func try(ctx context.Context) string {
	conn, err := parley.Dial(ctx, address)
	if err != nil {
		return fault.KindOf(err).Error()
	}
	defer conn.Close()
	return "admitted"
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "example-policy")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(path, rules("uid:4242", "connect", ""), 0o600); err != nil {
		return err
	}
	watched, err := file.Open(path, file.Options{}) // and reloaded when it changes
	if err != nil {
		return err
	}
	defer watched.Close()
	lc := parley.ListenConfig{ListenConfig: transport.ListenConfig{Authorizer: watched}}
	ln, err := lc.Listen(ctx, address)
	if err != nil {
		return err
	}
	defer ln.Close()

	fmt.Println("who may connect by the first file?")
	for _, uid := range []uint32{4242, 4343} {
		id := auth.FromUID(auth.Kernel, uid, uid)
		d := watched.Explain(id, auth.Connect, ln.Address().Resource())
		fmt.Println(" ", strings.ReplaceAll(d.Reason, dir+"/", ""))
	}
	fmt.Println("  ourselves, by dialling:", try(ctx))

	if err := os.WriteFile(path, rules("uid:4242", "conect", ""), 0o600); err != nil {
		return err
	}
	err = watched.Reload() // a change is seen by itself; this does not wait for it
	_, text, _ := strings.Cut(err.Error(), "policy.yaml:4:9: ")
	fmt.Println("a file with a mistake is refused: line 4,", text)

	if err := os.WriteFile(path, rules(auth.Self().String(), "connect", "  deny: true\n"), 0o600); err != nil {
		return err
	}
	err = watched.Reload()
	fmt.Println("the next one shuts us out:", try(ctx))
	return err
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
