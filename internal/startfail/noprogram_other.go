// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package startfail

func noProgram(error) bool { return false }
