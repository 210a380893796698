package main

import "kuva/internal/server"

// version tells the commit that the binary was built from.
func version() string { return server.Version() }
