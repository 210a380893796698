package imagev2

import (
	"net/http"

	"kuva/internal/rest"
)

// object is a piece of a JSON schema.
type object = map[string]any

const uuidPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

// schema answers with one schema. Old clients read schemas/image before
// anything else and make their options and checks of it.
func (h *handler) schema(build func(diskFormats, containerFormats []string) object) action {
	return func(w http.ResponseWriter, _ *http.Request) error {
		disk, container := h.images.Settings()
		rest.WriteJSON(w, http.StatusOK, build(disk, container))
		return nil
	}
}

func text(description string) object { return object{"type": "string", "description": description} }

func textOrNull(description string, most int) object {
	return object{"type": []string{"null", "string"}, "description": description, "maxLength": most}
}

func integerField(description string) object {
	return object{"type": "integer", "description": description}
}

func fact(o object) object {
	o["readOnly"] = true
	return o
}

// property describes an extra property that has a meaning to clouds.
func property(o object) object {
	o["is_base"] = false
	return o
}

func enum(description string, values []string) object {
	all := []any{nil}
	for _, v := range values {
		all = append(all, v)
	}
	return object{"type": []string{"null", "string"}, "description": description, "enum": all}
}

func reference(description string) object {
	return object{"type": []string{"null", "string"}, "description": description, "pattern": uuidPattern}
}

// imageSchema has the names, types and readOnly marks of the reference. Extra
// properties are strings.
func imageSchema(diskFormats, containerFormats []string) object {
	return object{
		"name": "image",
		"properties": object{
			"id":   object{"type": "string", "description": "An identifier for the image", "pattern": uuidPattern},
			"name": textOrNull("Descriptive name for the image", 255),
			"status": object{
				"type": "string", "readOnly": true, "description": "Status of the image",
				"enum": []string{"queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"},
			},
			"visibility": object{
				"type": "string", "description": "Scope of image accessibility",
				"enum": []string{"community", "public", "private", "shared"},
			},
			"protected":        object{"type": "boolean", "description": "If true, image will not be deletable."},
			"os_hidden":        object{"type": "boolean", "description": "If true, image will not appear in default image list response."},
			"checksum":         fact(textOrNull("md5 hash of image contents.", 32)),
			"os_hash_algo":     fact(textOrNull("Algorithm to calculate the os_hash_value", 64)),
			"os_hash_value":    fact(textOrNull("Hexdigest of the image contents using the algorithm specified by the os_hash_algo", 128)),
			"owner":            textOrNull("Owner of the image", 255),
			"size":             fact(object{"type": []string{"null", "integer"}, "description": "Size of image file in bytes"}),
			"virtual_size":     fact(object{"type": []string{"null", "integer"}, "description": "Virtual size of image in bytes"}),
			"container_format": enum("Format of the container", containerFormats),
			"disk_format":      enum("Format of the disk", diskFormats),
			"created_at":       fact(text("Date and time of image registration")),
			"updated_at":       fact(text("Date and time of the last image modification")),
			"tags": object{
				"type": "array", "description": "List of strings related to the image",
				"items": object{"type": "string", "maxLength": 255},
			},
			"direct_url": fact(text("URL to access the image file kept in external store")),
			"min_ram":    integerField("Amount of ram (in MB) required to boot image."),
			"min_disk":   integerField("Amount of disk space (in GB) required to boot image."),
			"self":       fact(text("An image self url")),
			"file":       fact(text("An image file url")),
			"stores":     fact(text("Store in which image data resides. Only present when several stores are in use.")),
			"schema":     fact(text("An image schema url")),
			"locations": object{
				"type": "array", "description": "A set of URLs to access the image file kept in external store",
				"items": object{
					"type": "object", "required": []string{"url", "metadata"},
					"properties": object{
						"url":      object{"type": "string", "maxLength": 255},
						"metadata": object{"type": "object"},
						"validation_data": object{
							"type": "object", "writeOnly": true, "additionalProperties": false,
							"description": "Values to be used to populate the corresponding image properties.",
							"properties": object{
								"checksum":      object{"type": "string", "minLength": 32, "maxLength": 32},
								"os_hash_algo":  object{"type": "string", "maxLength": 64},
								"os_hash_value": object{"type": "string", "maxLength": 128},
							},
							"required": []string{"os_hash_algo", "os_hash_value"},
						},
					},
				},
			},
			"kernel_id":         property(reference("ID of image stored in the image service that should be used as the kernel when booting an AMI-style image.")),
			"ramdisk_id":        property(reference("ID of image stored in the image service that should be used as the ramdisk when booting an AMI-style image.")),
			"instance_uuid":     property(text("Instance that this image is a snapshot of. (Informational only, does not create an instance snapshot.)")),
			"architecture":      property(text("Operating system architecture, such as x86_64 or aarch64")),
			"os_distro":         property(text("Common name of operating system distribution, in lower case")),
			"os_version":        property(text("Operating system version as specified by the distributor")),
			propertyLastFailure: property(fact(text("Why the newest upload did not succeed"))),
			propertyOrigin:      property(fact(text("How the content came to be, where it was not sent by the owner"))),
		},
		"additionalProperties": object{"type": "string"},
		"links": []object{
			{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"},
		},
	}
}

func imagesSchema(diskFormats, containerFormats []string) object {
	return object{
		"name": "images",
		"properties": object{
			"images": object{"type": "array", "items": imageSchema(diskFormats, containerFormats)},
			"first":  object{"type": "string"},
			"next":   object{"type": "string"},
			"schema": object{"type": "string"},
		},
		"links": []object{
			{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"},
		},
	}
}

func memberSchema(_, _ []string) object {
	return object{
		"name": "member",
		"properties": object{
			"member_id":  text("An identifier for the image member (tenantId)"),
			"image_id":   object{"type": "string", "description": "An identifier for the image", "pattern": uuidPattern},
			"created_at": text("Date and time of image member creation"),
			"updated_at": text("Date and time of last modification of image member"),
			"status": object{
				"type": "string", "description": "The status of this image member",
				"enum": []string{"pending", "accepted", "rejected"},
			},
			"schema": object{"type": "string"},
		},
		"additionalProperties": false,
	}
}

func membersSchema(disk, container []string) object {
	return object{
		"name": "members",
		"properties": object{
			"members": object{"type": "array", "items": memberSchema(disk, container)},
			"schema":  object{"type": "string"},
		},
		"links": []object{{"rel": "describedby", "href": "{schema}"}},
	}
}
