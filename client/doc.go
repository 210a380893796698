// Package client talks to image services: any that speak the OpenStack Image
// API v2, kuva's own among them. It logs in as the standard clients do, from
// clouds.yaml or the OS_ variables, and streams content both ways:
//
//	Upload    file ──► PUT, hashed on the way ──► compared with what the service says it kept
//	Download  GET ──► hashed on the way, taken up again where the connection broke ──► compared
//
// so that neither an unnoticed truncation nor a flipped bit is ever called a
// success. Requests other than content are gophercloud's business.
//
// A Client may be used by many goroutines at once.
package client
