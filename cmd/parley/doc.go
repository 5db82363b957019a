// SPDX-License-Identifier: Apache-2.0

// Command parley connects processes from the shell and shows who talks to
// whom. Each verb is one file here, with its testscript in testdata.
package main
