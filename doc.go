// Package kuva holds the words and rules of the image service: images, their
// states and who may see them, quotas, principals and the closed list of
// error codes. It does no I/O and knows nothing of databases, HTTP or disks;
// everything else in the module is built around it.
package kuva
