// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"fmt"

	"github.com/parley-ipc/parley/topic"
)

// What engines have in common: how subjects match, and headers.
// The examples of engine publish and subscribe.
func Example() {
	f, err := topic.ParseFilter("prices.*")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, subject := range []string{"prices", "prices.eur", "prices.eur.spot"} {
		fmt.Println(subject, f.Match(subject))
	}
	h, err := topic.NewHeaders("unit", "EUR", "source", "desk 7")
	if err != nil {
		fmt.Println(err)
		return
	}
	for key, value := range h.All() {
		fmt.Println(key, "is", value)
	}
	// Output:
	// prices false
	// prices.eur true
	// prices.eur.spot false
	// unit is EUR
	// source is desk 7
}
