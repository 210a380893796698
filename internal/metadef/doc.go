// Package metadef holds the use cases of metadata definitions: namespaces that
// say which properties images, flavors, volumes and servers may have, of which
// types, and what they mean. Nothing in the service obeys them; dashboards and
// command lines show them to people.
//
// A namespace is public or its owner's. Whoever may not see one is told that it
// is not there (kuva.CodeNotFound); whoever sees it but may not change it gets
// kuva.CodeForbidden. Nothing is deleted from a protected namespace.
//
//	namespace ─┬─ objects      sets of properties that belong together
//	           ├─ properties
//	           ├─ tags
//	           └─ associations with resource types, each with a prefix
//
// Documents are kept as they came, checked: the types of document.go are what
// the API reads and answers. The first start of an empty database loads the
// usual namespaces (namespaces/*.json), by the names that clients expect.
package metadef
