package links

import (
	"syscall"
	"time"
)

// sleepers bounds the threads that sleep. Where more want to, there is so much
// going on that times tell nothing.
var sleepers = make(chan struct{}, 64)

// sleepExactly sleeps by the kernel's fine clock, for a few milliseconds.
func sleepExactly(d time.Duration) {
	select {
	case sleepers <- struct{}{}:
		defer func() { <-sleepers }()
	default:
		time.Sleep(d)
		return
	}
	left := syscall.NsecToTimespec(max(0, int64(d)))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
		continue // the runtime's own signals
	}
}
