// SPDX-License-Identifier: Apache-2.0

// Package cgroup reads the limits of the control groups that we run in,
// version 1 and 2: they bound us, and nothing else in Go shows them.
package cgroup
