package imagev2

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
)

// tasks lists all imports of the site, for administrators.
func (h *handler) tasks(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	params, err := parseParameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	q, err := parseTaskQuery(params)
	if err != nil {
		return err
	}
	list, err := h.images.Tasks(ctx, p)
	if err != nil {
		return err
	}
	all := make([]api.ImageTask, len(list))
	for i := range list {
		all[i] = taskView(&list[i])
	}
	page, more, err := q.page(all)
	if err != nil {
		return err
	}
	out := api.ImageTaskPage{Tasks: page, First: q.link(""), Schema: "/v2/schemas/tasks"}
	if more {
		out.Next = q.link(page[len(page)-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (h *handler) task(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	t, err := h.images.Task(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := taskView(&t)
	out.ImageTaskDetails = taskDetails(&t)
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// imageTasks lists the imports of one image.
func (h *handler) imageTasks(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	list, err := h.images.ImageTasks(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := api.ImageTaskList{Tasks: []api.ImageTask{}}
	for i := range list {
		t := taskView(&list[i])
		t.Self, t.Schema, t.ImageTaskDetails = "", "", taskDetails(&list[i])
		t.ImageID, t.RequestID, t.UserID = list[i].Image, list[i].RequestID, list[i].User
		out.Tasks = append(out.Tasks, t)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// taskStates are the states of jobs in the words of tasks.
var taskStates = map[job.State]string{
	job.Pending: "pending", job.Running: "processing", job.Succeeded: "success", job.Failed: "failure", job.Cancelled: "failure",
}

func taskView(t *images.Task) api.ImageTask {
	out := api.ImageTask{
		ID: t.ID, Type: t.Type(), Status: taskStates[t.State], CreatedAt: t.CreatedAt.Format(api.ImageTime),
		UpdatedAt: t.UpdatedAt().Format(api.ImageTime), Self: "/v2/tasks/" + t.ID, Schema: "/v2/schemas/task",
	}
	if t.Project != "" {
		out.Owner = &t.Project
	}
	if end := t.Expires(); !end.IsZero() {
		text := end.Format(api.ImageTime)
		out.ExpiresAt = &text
	}
	return out
}

func taskDetails(t *images.Task) *api.ImageTaskDetails {
	method := map[string]any{"name": t.Method}
	if t.URI != "" {
		method["uri"] = t.URI
	}
	d := &api.ImageTaskDetails{Input: map[string]any{"image_id": t.Image, "import_req": map[string]any{"method": method}}, Message: t.Message}
	if t.Type() == "import" {
		d.Input = map[string]any{"import_from": t.URI}
	}
	switch t.State {
	case job.Succeeded:
		d.Result = map[string]any{"image_id": t.Image}
	case job.Failed, job.Cancelled:
		d.Message = t.Sentence
	}
	return d
}

// createTask is the import of before there were imports: it makes an image and
// fills it by web-download, through the same filter.
func (h *handler) createTask(w http.ResponseWriter, r *http.Request) error {
	object, err := readObject(r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	if err := h.images.MayTasks(p); err != nil {
		return err
	}
	if kind, _ := object["type"].(string); kind != "import" {
		return kuva.E(kuva.CodeInvalid, "imagev2.task_type")
	}
	input, _ := object["input"].(map[string]any)
	from, _ := input["import_from"].(string)
	format, _ := input["import_from_format"].(string)
	fields, ok := input["image_properties"].(map[string]any)
	if input == nil || from == "" || !ok && input["image_properties"] != nil {
		return kuva.E(kuva.CodeInvalid, "imagev2.task_input")
	}
	n, err := newImage(fields)
	if err != nil {
		return err
	}
	if n.DiskFormat == "" {
		n.DiskFormat = format
	}
	if n.ContainerFormat == "" {
		n.ContainerFormat = "bare"
	}
	t, err := h.images.ImportTask(ctx, p, n, from)
	if err != nil {
		return err
	}
	out := taskView(&t)
	out.ImageTaskDetails = taskDetails(&t)
	w.Header().Set("Location", rest.PublicURL(h.public, r)+Prefix+"/v2/tasks/"+t.ID)
	rest.WriteJSON(w, http.StatusCreated, out)
	return nil
}

// taskQuery is what GET /v2/tasks asks for.
type taskQuery struct {
	limit        int
	marker, key  string
	ascending    bool
	kind, status string
	rest         url.Values // for links
}

// taskKeys are what tasks can be sorted by.
var taskKeys = map[string]func(t *api.ImageTask) string{
	"id":         func(t *api.ImageTask) string { return t.ID },
	"type":       func(t *api.ImageTask) string { return t.Type },
	"status":     func(t *api.ImageTask) string { return t.Status },
	"created_at": func(t *api.ImageTask) string { return t.CreatedAt },
	"updated_at": func(t *api.ImageTask) string { return t.UpdatedAt },
	"expires_at": func(t *api.ImageTask) string {
		if t.ExpiresAt == nil {
			return ""
		}
		return *t.ExpiresAt
	},
}

func parseTaskQuery(params []parameter) (taskQuery, error) {
	q := taskQuery{limit: DefaultPage, key: "created_at", rest: url.Values{}}
	for _, p := range params {
		ok := true
		switch p.name {
		case "limit":
			n, err := parseLimit(p.value)
			if err != nil {
				return q, err
			}
			q.limit = min(n, images.MaxPage)
		case "marker":
			q.marker = p.value
			continue
		case "sort_key":
			_, ok = taskKeys[p.value]
			q.key = p.value
		case "sort_dir":
			ok = p.value == "asc" || p.value == "desc"
			q.ascending = p.value == "asc"
		case "type":
			ok = slices.Contains([]string{"import", "api_image_import", "location_import"}, p.value)
			q.kind = p.value
		case "status":
			ok = slices.Contains([]string{"pending", "processing", "success", "failure"}, p.value)
			q.status = p.value
		default:
			continue // the reference ignores what it does not know here
		}
		if !ok {
			return q, bad(p.name, p.value)
		}
		q.rest.Set(p.name, p.value)
	}
	return q, nil
}

// page filters and sorts the tasks and cuts the page out.
func (q *taskQuery) page(all []api.ImageTask) (page []api.ImageTask, more bool, err error) {
	all = slices.DeleteFunc(all, func(t api.ImageTask) bool {
		return q.kind != "" && t.Type != q.kind || q.status != "" && t.Status != q.status
	})
	key := taskKeys[q.key]
	slices.SortStableFunc(all, func(a, b api.ImageTask) int {
		c := strings.Compare(key(&a), key(&b))
		if c == 0 {
			c = strings.Compare(a.ID, b.ID)
		}
		if !q.ascending {
			c = -c
		}
		return c
	})
	if q.marker != "" {
		i := slices.IndexFunc(all, func(t api.ImageTask) bool { return t.ID == q.marker })
		if i < 0 {
			return nil, false, kuva.E(kuva.CodeInvalid, "imagev2.marker")
		}
		all = all[i+1:]
	}
	n := min(q.limit, len(all))
	return all[:n:n], n > 0 && n == q.limit, nil
}

func (q *taskQuery) link(marker string) string {
	v := url.Values{}
	for name, values := range q.rest {
		v[name] = values
	}
	if marker != "" {
		v.Set("marker", marker)
	}
	if len(v) == 0 {
		return "/v2/tasks"
	}
	return "/v2/tasks?" + v.Encode()
}

// taskSchema has the names and types of the reference.
func taskSchema(_, _ []string) object {
	maybe := func(description string) object {
		return object{"type": []string{"null", "object"}, "description": description}
	}
	return object{
		"name": "task",
		"properties": object{
			"id":         object{"type": "string", "description": "An identifier for the task", "pattern": uuidPattern},
			"type":       object{"type": "string", "description": "The type of task represented by this content", "enum": []string{"import", "api_image_import", "location_import"}},
			"status":     object{"type": "string", "description": "The current status of this task", "enum": []string{"pending", "processing", "success", "failure"}},
			"input":      maybe("The parameters required by task, JSON blob"),
			"result":     maybe("The result of current task, JSON blob"),
			"owner":      text("An identifier for the owner of this task"),
			"message":    text("Human-readable informative message only included when appropriate (usually on failure)"),
			"image_id":   text("Image associated with the task"),
			"request_id": text("Human-readable informative request-id"),
			"user_id":    text("User associated with the task"),
			"expires_at": text("Datetime when this resource would be subject to removal"),
			"created_at": text("Datetime when this resource was created"),
			"updated_at": text("Datetime when this resource was updated"),
			"self":       object{"type": "string", "readOnly": true},
			"schema":     object{"type": "string", "readOnly": true},
		},
	}
}

func tasksSchema(disk, container []string) object {
	return object{
		"name": "tasks",
		"properties": object{
			"tasks":  object{"type": "array", "items": taskSchema(disk, container)},
			"schema": object{"type": "string"},
			"next":   object{"type": "string"},
			"first":  object{"type": "string"},
		},
		"links": []object{{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}},
	}
}
