// SPDX-License-Identifier: Apache-2.0

// Package endpoint is the names of listeners: how an address is spelt, who
// owns one, and the registry of the living ones with their counters.
package endpoint
