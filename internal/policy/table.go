package policy

import "slices"

// Rule is the name of a rule of the table.
type Rule string

// The rules that use cases ask for. Those that the reference services have
// bear their names.
const (
	ContextIsAdmin Rule = "context_is_admin"

	GetImages        Rule = "get_images"
	GetImage         Rule = "get_image"
	AddImage         Rule = "add_image"
	ModifyImage      Rule = "modify_image"
	DeleteImage      Rule = "delete_image"
	PublicizeImage   Rule = "publicize_image"
	CommunitizeImage Rule = "communitize_image"
	ChangeOwner      Rule = "kuva:change_owner"
	LiftRestriction  Rule = "kuva:lift_restriction"

	UploadImage         Rule = "upload_image"
	DownloadImage       Rule = "download_image"
	DownloadDeactivated Rule = "kuva:download_deactivated"
	Deactivate          Rule = "deactivate"
	Reactivate          Rule = "reactivate"

	Tasks         Rule = "tasks_api_access"
	AddLocation   Rule = "add_image_location"
	FetchLocation Rule = "fetch_image_location"
	OfferMove     Rule = "kuva:move.offer"
	GetMove       Rule = "kuva:move.get"
	AcceptMove    Rule = "kuva:move.accept"
	EndMove       Rule = "kuva:move.end"
	MakeLink      Rule = "kuva:links.make"
	ListLinks     Rule = "kuva:links.list"
	RevokeLink    Rule = "kuva:links.revoke"

	GetMembers   Rule = "get_members"
	GetMember    Rule = "get_member"
	AddMember    Rule = "add_member"
	ModifyMember Rule = "modify_member"
	DeleteMember Rule = "delete_member"

	ListJobs    Rule = "kuva:jobs.list"
	GetJob      Rule = "kuva:jobs.get"
	CancelJob   Rule = "kuva:jobs.cancel"
	StartExport Rule = "kuva:exports.start"
	GetExport   Rule = "kuva:exports.get"
	EndExport   Rule = "kuva:exports.cancel"
	GetBuckets  Rule = "kuva:buckets.get"
	WatchEvents Rule = "kuva:events"
	GetActivity Rule = "kuva:activity.get"
	GetReport   Rule = "kuva:report.get"
	GetCost     Rule = "kuva:cost.get"
	GetUsage    Rule = "kuva:usage.get"
	GetQuota    Rule = "kuva:quota.get"
	SetQuota    Rule = "kuva:quota.set"
	GetDepot    Rule = "kuva:depot.get"
	Collect     Rule = "kuva:depot.collect"
	ListUploads Rule = "kuva:uploads.list"
	GetUpload   Rule = "kuva:uploads.get"
	EndUpload   Rule = "kuva:uploads.end"
)

// Entry is one row of the table.
type Entry struct {
	Rule    Rule
	Default string   // in the language of oslo.policy
	Routes  []string // that ask for it, as patterns of the doors
}

// Expressions that others refer to. Roles imply each other before policy is
// asked: an admin has member, a member has reader.
var helpers = []Entry{
	// The role admin on a domain makes nobody an administrator.
	{ContextIsAdmin, "is_admin:True", nil},
	{"admin_required", "rule:context_is_admin", nil},
	// What a project owns is looked at by all of its roles and changed by its
	// members.
	{"owner", "rule:context_is_admin or project_id:%(owner)s", nil},
	{"owner_member", "rule:context_is_admin or (role:member and project_id:%(owner)s)", nil},
	// kuva.CanSee in this language.
	{"sees", "rule:owner or project_id:%(member_id)s or 'public':%(visibility)s or 'community':%(visibility)s", nil},
	// Namespaces of metadata definitions are public or their owner's.
	{"metadef_default", "rule:owner or 'public':%(visibility)s", nil},
	{"metadef_admin", "rule:context_is_admin", nil},
}

// Table is every rule that a route asks for. Tests hold it to the routes of
// the doors, both ways.
var Table = slices.Concat(imageTable, metadefTable, identityTable)

var imageTable = []Entry{
	// Images. get_image stands before all that names an image: who fails it is
	// told that there is no such image.
	{GetImages, "@", []string{"GET /v2/images", "GET /kuva/v1/images"}},
	{GetImage, "rule:sees", []string{"GET /v2/images/{id}", "GET /v2/images/{id}/tasks", "GET /kuva/v1/images/{id}"}},
	{AddImage, "rule:owner_member", []string{"POST /kuva/v1/catalogue/{name}/import", "POST /v2/images", "POST /kuva/v1/images/{id}/copy", "POST /files", "POST /kuva/v1/uploads"}},
	{ModifyImage, "rule:owner_member", []string{
		"PATCH /v2/images/{id}", "PUT /v2/images/{id}/tags/{tag}", "DELETE /v2/images/{id}/tags/{tag}",
		"PUT /v2/images/{id}/stage", "POST /v2/images/{id}/import", "POST /kuva/v1/images/{id}/import",
	}},
	{DeleteImage, "rule:owner_member", []string{"DELETE /v2/images/{id}"}},
	{PublicizeImage, "rule:context_is_admin", []string{"POST /v2/images", "PATCH /v2/images/{id}", "PUT /v2/images/{id}/file", "POST /files", "POST /kuva/v1/uploads"}},
	{CommunitizeImage, "rule:owner_member", []string{"POST /v2/images", "PATCH /v2/images/{id}", "POST /files", "POST /kuva/v1/uploads"}},
	{ChangeOwner, "rule:context_is_admin", []string{"POST /v2/images", "PATCH /v2/images/{id}"}},
	{LiftRestriction, "rule:context_is_admin", []string{"PATCH /v2/images/{id}"}},

	// Content.
	{UploadImage, "rule:owner_member", []string{
		"POST /kuva/v1/uploads", "POST /kuva/v1/uploads/{id}/parts/{n}/ask", "PUT /kuva/v1/uploads/{id}/parts/{n}", "POST /kuva/v1/uploads/{id}/finish",
		"PUT /v2/images/{id}/file", "POST /files", "PATCH /files/{id}",
	}},
	{DownloadImage, "rule:sees", []string{"GET /v2/images/{id}/file", "GET /kuva/v1/images/{id}/file", "GET /kuva/v1/images/{id}/views", "POST /kuva/v1/images/{id}/copy"}},
	{DownloadDeactivated, "rule:context_is_admin", []string{"GET /v2/images/{id}/file", "GET /kuva/v1/images/{id}/file", "GET /kuva/v1/images/{id}/views"}},
	{Deactivate, "rule:owner_member", []string{"POST /v2/images/{id}/actions/deactivate"}},
	{Reactivate, "rule:owner_member", []string{"POST /v2/images/{id}/actions/reactivate"}},

	// Imports. The tasks of all projects are for administrators; those of one
	// image are its owner's.
	{Tasks, "rule:context_is_admin", []string{"GET /v2/tasks", "POST /v2/tasks", "GET /v2/tasks/{id}"}},
	{AddLocation, "rule:owner_member", []string{"POST /v2/images/{id}/locations", "PATCH /v2/images/{id}"}},
	{FetchLocation, "role:service", []string{"GET /v2/images/{id}/locations"}},

	// Image members. Who sees a list of members sees itself in it, the owner
	// sees all.
	{GetMembers, "rule:owner or project_id:%(member_id)s", []string{"GET /v2/images/{id}/members"}},
	{GetMember, "rule:owner or project_id:%(member_id)s", []string{"GET /v2/images/{id}/members/{member}"}},
	{AddMember, "rule:owner_member", []string{"POST /v2/images/{id}/members"}},
	{ModifyMember, "rule:context_is_admin or (role:member and project_id:%(member_id)s)", []string{"PUT /v2/images/{id}/members/{member}"}},
	{DeleteMember, "rule:owner_member", []string{"DELETE /v2/images/{id}/members/{member}"}},

	// What OpenStack has no words for. The member of an offer is the project
	// that it is made to.
	{OfferMove, "rule:owner_member", []string{"POST /kuva/v1/images/{id}/move"}},
	{GetMove, "rule:owner or project_id:%(member_id)s", []string{"GET /kuva/v1/images/{id}/move", "GET /kuva/v1/moves"}},
	{AcceptMove, "rule:context_is_admin or (role:member and project_id:%(member_id)s)", []string{"POST /kuva/v1/images/{id}/move/accept"}},
	{EndMove, "rule:owner_member or (role:member and project_id:%(member_id)s)", []string{"DELETE /kuva/v1/images/{id}/move"}},
	// Links show what their maker may see, to whoever has them. Those that a
	// project made and those to its images are its own to look after.
	{MakeLink, "rule:context_is_admin or (role:member and rule:sees)", []string{"POST /kuva/v1/links"}},
	{ListLinks, "rule:owner", []string{"GET /kuva/v1/links", "GET /kuva/v1/links/{id}"}},
	{RevokeLink, "rule:owner_member", []string{"DELETE /kuva/v1/links/{id}"}},
	{ListUploads, "rule:owner", []string{"GET /kuva/v1/uploads"}},
	{GetUpload, "rule:owner", []string{"GET /kuva/v1/uploads/{id}", "GET /kuva/v1/uploads/{id}/parts", "HEAD /files/{id}"}},
	{EndUpload, "rule:owner_member", []string{"DELETE /kuva/v1/uploads/{id}", "DELETE /files/{id}"}},
	{ListJobs, "rule:owner", []string{"GET /kuva/v1/jobs"}},
	{GetJob, "rule:owner", []string{"GET /kuva/v1/jobs/{id}"}},
	{CancelJob, "rule:owner_member", []string{"DELETE /kuva/v1/jobs/{id}", "POST /kuva/v1/jobs/{id}/cancel"}},
	// Who may download an image may take it elsewhere; a project sees its own
	// exports.
	{StartExport, "rule:context_is_admin or role:member", []string{"POST /kuva/v1/images/{id}/exports", "POST /kuva/v1/images/{id}/replicate"}},
	{GetExport, "rule:owner", []string{"GET /kuva/v1/exports", "GET /kuva/v1/exports/{id}", "GET /kuva/v1/images/{id}/exports"}},
	{EndExport, "rule:owner_member", []string{"DELETE /kuva/v1/exports/{id}"}},
	{GetBuckets, "rule:owner", []string{"GET /kuva/v1/buckets", "GET /kuva/v1/buckets/{name}/objects", "GET /kuva/v1/peers"}},
	{WatchEvents, "rule:owner", []string{"GET /kuva/v1/events"}},
	{GetActivity, "rule:owner", []string{"GET /kuva/v1/images/{id}/activity"}},
	{GetReport, "rule:sees", []string{"GET /kuva/v1/images/{id}/report"}},
	{GetCost, "rule:owner", []string{"GET /kuva/v1/images/{id}"}},
	{GetUsage, "rule:owner", []string{"GET /kuva/v1/usage"}},
	{GetQuota, "rule:owner", []string{"GET /kuva/v1/quota", "GET /v2/info/usage"}},
	{SetQuota, "rule:context_is_admin", []string{"PUT /kuva/v1/quota"}},
	{GetDepot, "rule:context_is_admin", []string{"GET /kuva/v1/depot"}},
	{Collect, "rule:context_is_admin", []string{"POST /kuva/v1/depot/collect"}},
}

// NoToken lists the routes that ask nobody who they are: versions, documents
// and the ways to get a token.
var NoToken = []string{
	"GET /identity", "GET /identity/{$}", "GET /identity/v3", "GET /identity/v3/{$}",
	"POST /identity/v3/auth/tokens", "POST /identity/v3/users/{user}/password",
	"GET /portal/assets/{file...}", "GET /portal/icon.svg", "POST /portal/report",
	"GET /portal/session", "POST /portal/session", "DELETE /portal/session", "POST /portal/session/token", // a cookie opens these
	"GET /kuva/v1", "GET /kuva/v1/openapi.yaml", "GET /kuva/v1/openapi.json",
	// The secret in the path says who may.
	"GET /l/{secret}", "GET /l/{secret}/{name}", "PUT /l/{secret}", "PUT /l/{secret}/{name}",
	"OPTIONS /files", "OPTIONS /files/{id}",
}

// AnyToken lists the routes that answer everybody who has a token, and tell
// everybody the same.
var AnyToken = []string{
	"GET /v2/schemas/image", "GET /v2/schemas/images", "GET /v2/schemas/member", "GET /v2/schemas/members",
	"GET /v2/schemas/metadefs/namespace", "GET /v2/schemas/metadefs/namespaces",
	"GET /v2/schemas/metadefs/resource_type", "GET /v2/schemas/metadefs/resource_types",
	"GET /v2/schemas/metadefs/property", "GET /v2/schemas/metadefs/properties",
	"GET /v2/schemas/metadefs/object", "GET /v2/schemas/metadefs/objects",
	"GET /v2/schemas/metadefs/tag", "GET /v2/schemas/metadefs/tags",
	"GET /v2/schemas/task", "GET /v2/schemas/tasks", "GET /v2/info/import", "GET /v2/info/stores", "GET /v2/info/stores/detail",
	"GET /kuva/v1/terms", "GET /kuva/v1/catalogue", "GET /kuva/v1/catalogue/{name}",
}
