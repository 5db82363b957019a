// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package inventory

// kernelObjects adds nothing: only Linux tells.
func kernelObjects(Options, func(string, []Object, error)) {}
