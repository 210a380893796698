-- What was done, by whom, to what. Append-only: no code updates or deletes here.

-- +goose Up
CREATE TABLE audit (
    -- Ascending in the order of writing, whatever the clock does. PostgreSQL
    -- takes it from the sequence that BIGSERIAL makes; SQLite, to which the
    -- type says nothing, gets it from the single writer.
    id         BIGSERIAL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL, -- user id, or "kuva" for the service itself
    project    TEXT   NOT NULL,
    action     TEXT   NOT NULL, -- image.create, image.upload, member.add, ...
    object     TEXT   NOT NULL, -- image id, user id, ...
    result     TEXT   NOT NULL, -- ok, or a code of the closed list
    request_id TEXT   NOT NULL,
    detail     TEXT   NOT NULL  -- JSON object
);
CREATE INDEX audit_object ON audit (object, id);
CREATE INDEX audit_project ON audit (project, id);

-- +goose Down
DROP TABLE audit;
