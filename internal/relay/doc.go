// SPDX-License-Identifier: Apache-2.0

// Package relay pumps bytes between connections.
package relay
