//go:build !linux

package links

import "time"

// sleepExactly sleeps as well as the runtime can.
func sleepExactly(d time.Duration) { time.Sleep(d) }
