// SPDX-License-Identifier: Apache-2.0

// Package file reads a policy from a YAML file and keeps it current while the
// file changes; a file with a mistake is refused and the old rules stay.
package file
