// SPDX-License-Identifier: Apache-2.0

// Package proctest gives a test real processes: it runs the test's own binary
// again in a named role and talks with it line by line.
//
//	func TestMain(m *testing.M) {
//		proctest.Main(m, map[string]proctest.Role{"echo": echo})
//	}
//
//	func echo(p *proctest.Self) error {
//		line, err := p.Hear()
//		if err != nil {
//			return err
//		}
//		p.Say(line)
//		return nil
//	}
//
//	func TestEcho(t *testing.T) {
//		p := proctest.Start(t, "echo")
//		p.Say("hello")
//		p.Expect("hello")
//		if err := p.Wait(); err != nil {
//			t.Error(err)
//		}
//	}
//
// Every wait has a deadline that fails the test with the child's last words on
// stderr. A child never outlives its test: it is killed when the test ends,
// and ends itself when the test's process has gone.
package proctest
