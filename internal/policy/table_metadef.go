package policy

// The rules of metadata definitions, by the names that the reference has.
const (
	GetMetadefNamespaces     Rule = "get_metadef_namespaces"
	GetMetadefNamespace      Rule = "get_metadef_namespace"
	AddMetadefNamespace      Rule = "add_metadef_namespace"
	ModifyMetadefNamespace   Rule = "modify_metadef_namespace"
	DeleteMetadefNamespace   Rule = "delete_metadef_namespace"
	GetMetadefObjects        Rule = "get_metadef_objects"
	GetMetadefObject         Rule = "get_metadef_object"
	AddMetadefObject         Rule = "add_metadef_object"
	ModifyMetadefObject      Rule = "modify_metadef_object"
	DeleteMetadefObject      Rule = "delete_metadef_object"
	GetMetadefProperties     Rule = "get_metadef_properties"
	GetMetadefProperty       Rule = "get_metadef_property"
	AddMetadefProperty       Rule = "add_metadef_property"
	ModifyMetadefProperty    Rule = "modify_metadef_property"
	RemoveMetadefProperty    Rule = "remove_metadef_property"
	GetMetadefTags           Rule = "get_metadef_tags"
	GetMetadefTag            Rule = "get_metadef_tag"
	AddMetadefTag            Rule = "add_metadef_tag"
	AddMetadefTags           Rule = "add_metadef_tags"
	ModifyMetadefTag         Rule = "modify_metadef_tag"
	DeleteMetadefTag         Rule = "delete_metadef_tag"
	DeleteMetadefTags        Rule = "delete_metadef_tags"
	ListMetadefResourceTypes Rule = "list_metadef_resource_types"
	GetMetadefResourceType   Rule = "get_metadef_resource_type"
	AddMetadefAssociation    Rule = "add_metadef_resource_type_association"
	RemoveMetadefAssociation Rule = "remove_metadef_resource_type_association"
)

// metadefTable: whoever sees a namespace reads all of it, administrators write.
// get_metadef_namespace stands before all that names one: who fails it is told
// that there is no such namespace.
var metadefTable = []Entry{
	{GetMetadefNamespaces, "@", []string{"GET /v2/metadefs/namespaces"}},
	{GetMetadefNamespace, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces", "GET /v2/metadefs/namespaces/{ns}"}},
	{AddMetadefNamespace, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces"}},
	{ModifyMetadefNamespace, "rule:metadef_admin", []string{"PUT /v2/metadefs/namespaces/{ns}"}},
	{DeleteMetadefNamespace, "rule:metadef_admin", []string{
		"DELETE /v2/metadefs/namespaces/{ns}", "DELETE /v2/metadefs/namespaces/{ns}/objects", "DELETE /v2/metadefs/namespaces/{ns}/properties", "DELETE /v2/metadefs/namespaces/{ns}/tags",
	}},
	{GetMetadefObjects, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}", "GET /v2/metadefs/namespaces/{ns}/objects"}},
	{GetMetadefObject, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}/objects", "GET /v2/metadefs/namespaces/{ns}/objects/{object}"}},
	{AddMetadefObject, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces", "POST /v2/metadefs/namespaces/{ns}/objects"}},
	{ModifyMetadefObject, "rule:metadef_admin", []string{"PUT /v2/metadefs/namespaces/{ns}/objects/{object}"}},
	{DeleteMetadefObject, "rule:metadef_admin", []string{"DELETE /v2/metadefs/namespaces/{ns}/objects/{object}"}},
	{GetMetadefProperties, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}", "GET /v2/metadefs/namespaces/{ns}/properties"}},
	{GetMetadefProperty, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}/properties", "GET /v2/metadefs/namespaces/{ns}/properties/{property}"}},
	{AddMetadefProperty, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces", "POST /v2/metadefs/namespaces/{ns}/properties"}},
	{ModifyMetadefProperty, "rule:metadef_admin", []string{"PUT /v2/metadefs/namespaces/{ns}/properties/{property}"}},
	{RemoveMetadefProperty, "rule:metadef_admin", []string{"DELETE /v2/metadefs/namespaces/{ns}/properties/{property}"}},
	{GetMetadefTags, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}", "GET /v2/metadefs/namespaces/{ns}/tags"}},
	{GetMetadefTag, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}/tags", "GET /v2/metadefs/namespaces/{ns}/tags/{tag}"}},
	{AddMetadefTag, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces", "POST /v2/metadefs/namespaces/{ns}/tags/{tag}"}},
	{AddMetadefTags, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces/{ns}/tags"}},
	{ModifyMetadefTag, "rule:metadef_admin", []string{"PUT /v2/metadefs/namespaces/{ns}/tags/{tag}"}},
	{DeleteMetadefTag, "rule:metadef_admin", []string{"DELETE /v2/metadefs/namespaces/{ns}/tags/{tag}"}},
	{DeleteMetadefTags, "rule:metadef_admin", []string{"DELETE /v2/metadefs/namespaces/{ns}/tags"}},
	{ListMetadefResourceTypes, "@", []string{
		"GET /v2/metadefs/resource_types", "GET /v2/metadefs/namespaces", "GET /v2/metadefs/namespaces/{ns}", "GET /v2/metadefs/namespaces/{ns}/resource_types",
	}},
	{GetMetadefResourceType, "rule:metadef_default", []string{"GET /v2/metadefs/namespaces/{ns}/resource_types", "GET /v2/metadefs/namespaces/{ns}/properties/{property}"}},
	{AddMetadefAssociation, "rule:metadef_admin", []string{"POST /v2/metadefs/namespaces", "POST /v2/metadefs/namespaces/{ns}/resource_types"}},
	{RemoveMetadefAssociation, "rule:metadef_admin", []string{"DELETE /v2/metadefs/namespaces/{ns}/resource_types/{resource_type}"}},
}
