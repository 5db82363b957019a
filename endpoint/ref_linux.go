// SPDX-License-Identifier: Apache-2.0

package endpoint

func (h *holding) refer()   {}
func (h *holding) unrefer() {}
