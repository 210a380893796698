package kuva

// Visibility says who besides the owner may find an image.
type Visibility string

// The visibilities of the Image API v2.
const (
	// VisibilityPublic images are offered to every project by the operator.
	VisibilityPublic Visibility = "public"
	// VisibilityCommunity images may be used by every project that knows
	// where to look; they stay out of default lists.
	VisibilityCommunity Visibility = "community"
	// VisibilityShared images are seen by the owner and the image members.
	VisibilityShared Visibility = "shared"
	// VisibilityPrivate images are seen by the owner alone. Members stay
	// recorded but see nothing.
	VisibilityPrivate Visibility = "private"
)

// Valid reports whether v is one of the four visibilities.
func (v Visibility) Valid() bool {
	switch v {
	case VisibilityPublic, VisibilityCommunity, VisibilityShared, VisibilityPrivate:
		return true
	}
	return false
}

// CanSee reports whether p may see an image: what it owns, what is public or
// community, and what was shared with its project (member is nil where it was
// not). The member's status plays no part: sharing gives access by id at once.
// Admins see everything. The catalogue says the same rule in SQL; a test
// compares both over the whole small universe.
func CanSee(p Principal, img *Image, member *Member) bool {
	if p.Admin {
		return true
	}
	switch {
	case img.Owner != "" && img.Owner == p.ProjectID:
		return true
	case img.Visibility == VisibilityPublic, img.Visibility == VisibilityCommunity:
		return true
	case img.Visibility == VisibilityShared:
		return member != nil && p.ProjectID != "" && member.Project == p.ProjectID
	}
	return false
}
