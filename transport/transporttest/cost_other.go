// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package transporttest

func residentAndThreads() (resident, threads int) { return 0, 0 }
