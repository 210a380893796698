package identityv3

import "net/http"

// The version that clients see: the newest whose calls kuva has.
const (
	versionID      = "v3.14"
	versionUpdated = "2020-04-07T00:00:00Z"
)

type versionBody struct {
	ID         string      `json:"id"`
	Status     string      `json:"status"`
	Updated    string      `json:"updated"`
	Links      []object    `json:"links"`
	MediaTypes []mediaType `json:"media-types"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

func (d *door) versionBody(r *http.Request) versionBody {
	return versionBody{
		ID: versionID, Status: "stable", Updated: versionUpdated,
		Links:      []object{{"rel": "self", "href": d.base(r) + "/"}},
		MediaTypes: []mediaType{{"application/json", "application/vnd.openstack.identity-v3+json"}},
	}
}

// versions answers 300 with the one version that there is.
func (d *door) versions(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Location", d.base(r)+"/")
	return answer(w, http.StatusMultipleChoices, object{"versions": object{"values": []versionBody{d.versionBody(r)}}})
}

func (d *door) version(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, object{"version": d.versionBody(r)})
}
