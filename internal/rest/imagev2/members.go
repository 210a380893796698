package imagev2

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

func (h *handler) members(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	list, err := h.images.Members(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := api.ImageMemberList{Members: make([]api.ImageMember, len(list)), Schema: "/v2/schemas/members"}
	for i := range list {
		out.Members[i] = memberView(&list[i])
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// member shows one member. A refusal would tell that there is something to
// refuse, so it is answered like a member that is not there.
func (h *handler) member(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	m, err := h.images.Member(ctx, p, r.PathValue("id"), r.PathValue("member"))
	if kuva.CodeOf(err) == kuva.CodeForbidden {
		return kuva.E(kuva.CodeNotFound, "imagev2.no_member").Because(err)
	}
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, memberView(m))
	return nil
}

func (h *handler) addMember(w http.ResponseWriter, r *http.Request) error {
	project, err := readText(r, "member")
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	m, err := h.images.AddMember(ctx, p, r.PathValue("id"), project)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, memberView(m))
	return nil
}

func (h *handler) setMember(w http.ResponseWriter, r *http.Request) error {
	status, err := readText(r, "status")
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	m, err := h.images.SetMember(ctx, p, r.PathValue("id"), r.PathValue("member"), kuva.MemberStatus(status))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, memberView(m))
	return nil
}

func (h *handler) removeMember(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.RemoveMember(ctx, p, r.PathValue("id"), r.PathValue("member")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readText reads the one member that matters of a small JSON object.
func readText(r *http.Request, name string) (string, error) {
	object, err := readObject(r)
	if err != nil {
		return "", err
	}
	text, ok := object[name].(string)
	if !ok || text == "" {
		return "", kuva.E(kuva.CodeInvalid, "imagev2.member_body", "name", name)
	}
	return text, nil
}
