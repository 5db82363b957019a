// SPDX-License-Identifier: Apache-2.0

package endpoint

// Version is the version of the counters file that this build writes and
// reads (docs/formats/endpoint.md).
const Version = entryVersion
