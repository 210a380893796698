-- Uploads: content that comes in parts, in its own time.

-- +goose Up
CREATE TABLE upload (
    id         TEXT    PRIMARY KEY,
    protocol   TEXT    NOT NULL, -- tus, ask, fetch
    project    TEXT    NOT NULL,
    principal  TEXT    NOT NULL, -- JSON of who began it
    image      TEXT    NOT NULL, -- '' while it has none
    made       BOOLEAN NOT NULL, -- the upload made the image, and takes it away where it fails to begin
    name       TEXT    NOT NULL,
    size       BIGINT  NOT NULL, -- -1 while unknown
    received   BIGINT  NOT NULL, -- bytes in parts
    parts      BIGINT  NOT NULL, -- how many
    state      TEXT    NOT NULL, -- open, finishing, done, failed
    concat     TEXT    NOT NULL, -- '', partial, final
    writer     BIGINT  NOT NULL, -- token of who writes the next part, 0 is nobody
    options    TEXT    NOT NULL, -- JSON
    metadata   TEXT    NOT NULL, -- JSON object, as its sender gave it
    job        TEXT    NOT NULL, -- that finishes it, '' before
    failure    TEXT    NOT NULL, -- JSON, '' if none
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);
CREATE INDEX upload_project ON upload (project, state, created_at, id);
CREATE INDEX upload_image ON upload (image) WHERE image <> '';
CREATE INDEX upload_expires ON upload (expires_at);
CREATE INDEX upload_open ON upload (updated_at) WHERE state IN ('open', 'finishing');
CREATE INDEX upload_ended ON upload (id) WHERE state IN ('done', 'failed');

-- The object is pinned by "upload ID" while the row is there.
CREATE TABLE upload_part (
    upload TEXT   NOT NULL,
    off    BIGINT NOT NULL, -- where it begins in the upload
    size   BIGINT NOT NULL, -- above 0
    object BIGINT NOT NULL,
    PRIMARY KEY (upload, off)
);

-- What an upload that asks first is made of, part by part. The ask itself is
-- kept until the part is durable.
CREATE TABLE upload_ask (
    upload   TEXT    NOT NULL,
    n        BIGINT  NOT NULL, -- the sender's number of the part
    off      BIGINT  NOT NULL,
    size     BIGINT  NOT NULL,
    digest   TEXT    NOT NULL, -- BLAKE3 of the ask, in hexadecimal
    ask      TEXT    NOT NULL, -- base64, '' once durable
    lacking  TEXT    NOT NULL, -- base64, a bit for each chunk
    durable  BOOLEAN NOT NULL,
    asked_at BIGINT  NOT NULL,
    PRIMARY KEY (upload, n)
);
CREATE INDEX upload_ask_off ON upload_ask (upload, off) WHERE durable;
CREATE INDEX upload_ask_open ON upload_ask (upload, asked_at) WHERE NOT durable;

-- +goose Down
DROP TABLE upload_ask;
DROP TABLE upload_part;
DROP TABLE upload;
