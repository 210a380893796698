package imagev2

import (
	"mime"
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/rest"
)

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	object, err := readObject(r)
	if err != nil {
		return err
	}
	n, err := newImage(object)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	img, err := h.images.Create(ctx, p, n)
	if err != nil {
		return err
	}
	w.Header().Set("Location", rest.PublicURL(h.public, r)+Prefix+"/v2/images/"+img.ID)
	w.Header().Set("OpenStack-image-import-methods", strings.Join(h.images.ImportMethods(), ","))
	rest.WriteJSON(w, http.StatusCreated, view(p, img, rest.LanguageOf(r)))
	return nil
}

// checkJSONType refuses a body that says to be something else than JSON; one
// that says nothing is taken for JSON.
func checkJSONType(r *http.Request) error {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return kuva.E(kuva.CodeUnsupported, "imagev2.json_type")
	}
	return nil
}

// newImage reads the body of POST /v2/images. Names that are no fields are
// extra properties.
func newImage(object map[string]any) (images.NewImage, error) {
	n := images.NewImage{Properties: map[string]string{}}
	for name, value := range object {
		if name == "id" {
			id, ok := value.(string)
			if !ok || !imageID.MatchString(id) {
				return n, kuva.E(kuva.CodeInvalid, "imagev2.id")
			}
			n.ID = strings.ToLower(id)
			continue
		}
		if err := checkWritable(name); err != nil {
			return n, err
		}
		if name == "locations" {
			return n, kuva.E(kuva.CodeForbidden, "imagev2.locations")
		}
		if err := checkValue(name, value); err != nil {
			return n, err
		}
		set(&n, name, value)
	}
	return n, nil
}

// set puts a checked value into its field. Null is the empty text.
func set(n *images.NewImage, name string, value any) {
	text, _ := value.(string)
	switch name {
	case "name":
		n.Name = text
	case "owner":
		n.Owner = text
	case "visibility":
		n.Visibility = kuva.Visibility(text)
	case "disk_format":
		n.DiskFormat = text
	case "container_format":
		n.ContainerFormat = text
	case "protected":
		n.Protected, _ = value.(bool)
	case "os_hidden":
		n.Hidden, _ = value.(bool)
	case "min_disk":
		n.MinDisk, _ = integer(value)
	case "min_ram":
		n.MinRAM, _ = integer(value)
	case "tags":
		n.Tags, _ = texts(value)
	default:
		n.Properties[name] = text
	}
}
