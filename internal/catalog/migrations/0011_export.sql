-- Files of images that are written to buckets and addresses elsewhere.

-- +goose Up
-- One row an export; its id is that of its job. object is pinned while the
-- export is open, so that it goes on when the image is deleted.
CREATE TABLE export (
    id         TEXT   PRIMARY KEY,
    image      TEXT   NOT NULL,
    project    TEXT   NOT NULL, -- of who wanted it
    user_id    TEXT   NOT NULL,
    object     BIGINT NOT NULL,
    record     TEXT   NOT NULL, -- the image as it was, JSON
    spec       TEXT   NOT NULL, -- what is written where, JSON without secrets
    secret     TEXT   NOT NULL, -- keys or addresses, sealed; '' when it has ended
    state      TEXT   NOT NULL, -- open, done, failed, cancelled
    code       TEXT   NOT NULL, -- why it failed, '' if it did not
    sentence   TEXT   NOT NULL,
    upload     TEXT   NOT NULL, -- the bucket's id of the upload, '' if none is open
    part_size  BIGINT NOT NULL, -- bytes of every part but the last, 0 if they differ
    size       BIGINT NOT NULL, -- of the file, -1 while it is not known
    sent       BIGINT NOT NULL, -- bytes over all attempts
    result     TEXT   NOT NULL, -- the manifest, JSON, '' until it is done
    created_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL  -- 0 while it is open
);
CREATE INDEX export_project ON export (project, created_at, id);
CREATE INDEX export_image ON export (image, created_at, id);
CREATE INDEX export_open ON export (id) WHERE state = 'open';
CREATE INDEX export_ended ON export (ended_at) WHERE state <> 'open';

-- Parts that the other side has acknowledged.
CREATE TABLE export_part (
    export TEXT   NOT NULL,
    n      BIGINT NOT NULL, -- from 1
    size   BIGINT NOT NULL,
    tag    TEXT   NOT NULL, -- that the other side gave it
    sum    TEXT   NOT NULL, -- MD5 of its bytes, hex
    state  TEXT   NOT NULL, -- of SHA-256 behind it, base64
    PRIMARY KEY (export, n)
);

-- +goose Down
DROP TABLE export_part;
DROP TABLE export;
