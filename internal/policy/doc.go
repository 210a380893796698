// Package policy says who may do what: one table (table.go) of rules with
// their defaults and the routes that they stand before, an evaluator of the
// oslo.policy language, and the operator's file that changes rules of it.
//
// A use case asks one question, in a transaction, about the record that it is
// going to change:
//
//	if !s.policy.Allows(p, policy.UploadImage, target) { … }
//
// What an image's reader may know of it is not decided here alone: lists are
// made in SQL, so sight (kuva.CanSee) is fixed, and the rules get_image and
// get_images can narrow it, never widen. The same holds for what is no matter
// of policy: protected images, quotas, states.
//
// # The language
//
//	expr   = expr "or" expr | expr "and" expr | "not" expr | "(" expr ")" | check
//	check  = "@" | "!" | "rule:" NAME | "role:" NAME | "is_admin:True"
//	       | ATTRIBUTE ":" VALUE | LITERAL ":" VALUE
//	VALUE  = text in which %(NAME)s stands for an attribute of the target
//
// "and" binds closer than "or", "not" closest. "" is "@". The older form, a
// list of lists, is taken too: the outer list is "or", the inner ones "and".
// Attributes of the caller are user_id, project_id (tenant_id, tenant), and
// user_domain_id; those of the target are listed in Target. A caller without
// a project has no project_id, and an attribute that is not there equals
// nothing. http: checks are refused: a policy that asks the network is open
// to whoever stops the network.
package policy
