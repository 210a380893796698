package imagev2

import (
	"slices"
	"strings"

	"kuva"
	"kuva/internal/images"
)

// sortKeys are the names that a list can be sorted by.
var sortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

// sorting gathers the two ways to ask for an order: sort=name:asc,size and
// the older pairs of sort_key and sort_dir.
type sorting struct {
	pairs      []string
	names      []string
	directions []string
}

func (s *sorting) add(parameter, value string) {
	switch parameter {
	case "sort":
		s.pairs = append(s.pairs, strings.Split(strings.TrimSpace(value), ",")...)
	case "sort_key":
		s.names = append(s.names, strings.TrimSpace(value))
	case "sort_dir":
		s.directions = append(s.directions, strings.TrimSpace(value))
	}
}

// keys returns the order asked for, nil where there is none. A key that comes
// again orders nothing any more and is dropped.
func (s *sorting) keys() ([]images.Sort, error) {
	if len(s.pairs) > 0 && len(s.names)+len(s.directions) > 0 {
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.sort_mixed")
	}
	var out []images.Sort
	for _, pair := range s.pairs {
		name, direction, _ := strings.Cut(pair, ":")
		if err := appendKey(&out, strings.TrimSpace(name), strings.TrimSpace(direction)); err != nil {
			return nil, err
		}
	}
	if len(s.directions) > 1 && len(s.directions) != len(s.names) {
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.sort_dirs")
	}
	if len(s.names) == 0 && len(s.directions) == 1 {
		s.names = []string{"created_at"}
	}
	for i, name := range s.names {
		direction := ""
		switch len(s.directions) {
		case 0:
		case 1:
			direction = s.directions[0]
		default:
			direction = s.directions[i]
		}
		if err := appendKey(&out, name, direction); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendKey(to *[]images.Sort, name, direction string) error {
	if !slices.Contains(sortKeys, name) {
		return kuva.E(kuva.CodeInvalid, "imagev2.sort_key", "name", clip(name), "keys", strings.Join(sortKeys, ", "))
	}
	if direction != "" && direction != "asc" && direction != "desc" {
		return kuva.E(kuva.CodeInvalid, "imagev2.sort_dir", "direction", clip(direction))
	}
	if !slices.ContainsFunc(*to, func(s images.Sort) bool { return s.Key == name }) {
		*to = append(*to, images.Sort{Key: name, Desc: direction != "asc"})
	}
	return nil
}
