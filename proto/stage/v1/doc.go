// SPDX-License-Identifier: Apache-2.0

// Package stage is the service that demo and bench call in their other
// process, generated from stage.proto.
package stage

//go:generate ../../../.ci/protoc stage/v1/stage.proto
