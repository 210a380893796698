// Package server wires the service together: it reads the configuration, opens
// database, store and depot, makes the use cases and puts the doors behind one
// listener. Nothing else reads files or the environment.
//
//	DATA/kuva.db      the embedded database (unless another is configured)
//	DATA/store/       the depot's blobs
//	DATA/keys/        the wrapping keys of the realms: keep a copy elsewhere
//	DATA/clouds.yaml  how clients log in as the first administrator
//	DATA/node         this node's name
package server
