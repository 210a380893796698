package images

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// Task is an import as the Image API's tasks show it.
type Task struct {
	job.Job
	Method string // "" where it is not known
	URI    string // without its query, which may be a secret
	User   string // id of who wanted it
	asked  bool
}

// TaskLife is how long a task is shown after its end.
const TaskLife = 48 * time.Hour

// taskKinds are the jobs that are tasks.
var taskKinds = []string{jobImport, jobLocation}

// maxTasks bounds the tasks that are looked at for one list.
const maxTasks = 10_000

// Tasks returns all imports that have not expired, newest first, for
// administrators; CodeForbidden for others.
func (s *Service) Tasks(ctx context.Context, p kuva.Principal) ([]Task, error) {
	if err := s.MayTasks(p); err != nil {
		return nil, err
	}
	var out []Task
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		out, err = s.tasks(ctx, tx, job.Filter{}, maxTasks)
		return err
	})
	return out, err
}

// MayTasks refuses those who may not use tasks, which are nobody's project's.
func (s *Service) MayTasks(p kuva.Principal) error {
	if !s.cfg.Policy.Allows(p, policy.Tasks, policy.Target{}) {
		return kuva.E(kuva.CodeForbidden, "image.tasks_admin")
	}
	return nil
}

// Task returns one import; for administrators.
func (s *Service) Task(ctx context.Context, p kuva.Principal, id string) (t Task, err error) {
	if err := s.MayTasks(p); err != nil {
		return t, err
	}
	hidden := kuva.E(kuva.CodeNotFound, "image.task_not_found")
	if !uuidPattern.MatchString(id) {
		return t, hidden
	}
	err = s.view(ctx, func(tx *catalog.Tx) error {
		j, err := s.jobs.Get(ctx, tx, id)
		if err == nil && (j.Kind != jobImport && j.Kind != jobLocation || s.expired(j)) {
			err = hidden
		}
		t = taskOf(j)
		return err
	})
	if kuva.CodeOf(err) == kuva.CodeNotFound {
		err = hidden
	}
	return t, err
}

// ImageTasks returns the imports of an image that p sees, newest first. What
// was asked for is the owner's business, so others get none.
func (s *Service) ImageTasks(ctx context.Context, p kuva.Principal, id string) ([]Task, error) {
	var out []Task
	err := s.view(ctx, func(tx *catalog.Tx) error {
		img, _, err := s.see(ctx, tx, catalog.GetImage, p, id)
		if err != nil || !owns(p, img) {
			return err
		}
		out, err = s.tasks(ctx, tx, job.Filter{Image: img.ID}, 1000)
		return err
	})
	return out, err
}

func (s *Service) tasks(ctx context.Context, tx *catalog.Tx, f job.Filter, most int) ([]Task, error) {
	var out []Task
	for _, kind := range taskKinds {
		f.Kind, f.Limit, f.Before = kind, 1000, nil
		for len(out) < most {
			jobs, err := s.jobs.List(ctx, tx, f)
			if err != nil {
				return nil, err
			}
			for _, j := range jobs {
				if !s.expired(j) {
					out = append(out, taskOf(j))
				}
			}
			if len(jobs) < f.Limit {
				break
			}
			f.Before = &jobs[len(jobs)-1]
		}
	}
	return out, nil
}

func (s *Service) expired(j job.Job) bool {
	return !j.FinishedAt.IsZero() && s.now().Sub(j.FinishedAt) > TaskLife
}

// Expires is when the task goes, zero while it is not final.
func (t *Task) Expires() time.Time {
	if t.FinishedAt.IsZero() {
		return time.Time{}
	}
	return t.FinishedAt.Add(TaskLife)
}

// Type is what the Image API calls the task.
func (t *Task) Type() string {
	switch {
	case t.Kind == jobLocation:
		return "location_import"
	case t.asked:
		return "import"
	}
	return "api_image_import"
}

func taskOf(j job.Job) Task {
	t := Task{Job: j}
	var pl plan
	if json.Unmarshal(j.Args, &pl) == nil {
		t.Method, t.User, t.asked = pl.Method, pl.Principal.UserID, pl.Task
		t.URI, _, _ = strings.Cut(pl.URI, "?")
	}
	return t
}

// UpdatedAt is when the task changed its state last.
func (t *Task) UpdatedAt() time.Time {
	for _, at := range []time.Time{t.FinishedAt, t.StartedAt} {
		if !at.IsZero() {
			return at
		}
	}
	return t.CreatedAt
}

// ImportTask makes an image and fills it from a URL; for administrators.
func (s *Service) ImportTask(ctx context.Context, p kuva.Principal, n NewImage, uri string) (t Task, err error) {
	if err := s.MayTasks(p); err != nil {
		return t, err
	}
	if !slices.Contains(s.ImportMethods(), MethodWeb) {
		return t, kuva.E(kuva.CodeForbidden, "image.import_off")
	}
	if err := s.cfg.Import.Web.Check(uri); err != nil {
		return t, err
	}
	img, err := s.Create(ctx, p, n)
	if err != nil {
		return t, err
	}
	j, err := s.Import(ctx, p, img.ID, Import{Method: MethodWeb, URI: uri, Task: true})
	return taskOf(j), err
}
