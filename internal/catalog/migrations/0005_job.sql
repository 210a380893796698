-- Background work. A node beats while it runs jobs; attempt counts claims and
-- is the fence of whoever runs the job.

-- +goose Up
CREATE TABLE job (
    id          TEXT    PRIMARY KEY,
    kind        TEXT    NOT NULL,
    state       TEXT    NOT NULL, -- pending, running, succeeded, failed, cancelled
    args        TEXT    NOT NULL, -- JSON
    image       TEXT    NOT NULL, -- '' where it is about no image
    project     TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    unique_key  TEXT    NOT NULL, -- '' where twins are welcome
    attempt     BIGINT  NOT NULL,
    failures    BIGINT  NOT NULL,
    retry_at    BIGINT  NOT NULL, -- 0: at once
    node        TEXT    NOT NULL, -- that runs it, '' while pending
    cancel      BOOLEAN NOT NULL,
    done        BIGINT  NOT NULL,
    total       BIGINT  NOT NULL, -- 0 while unknown
    rate        BIGINT  NOT NULL DEFAULT 0, -- units a second, 0 while unknown
    unit        TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    code        TEXT    NOT NULL, -- of the newest failure, '' if none
    sentence    TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    started_at  BIGINT  NOT NULL, -- of the newest attempt, 0 if none
    finished_at BIGINT  NOT NULL  -- 0 while it is not
);
CREATE INDEX job_pending ON job (created_at, id) WHERE state = 'pending';
CREATE INDEX job_running ON job (node) WHERE state = 'running';
CREATE INDEX job_busy ON job (unique_key) WHERE state = 'running' AND unique_key <> '';
CREATE INDEX job_image ON job (image, created_at, id) WHERE image <> '';
CREATE INDEX job_project ON job (project, created_at, id);
CREATE INDEX job_created ON job (created_at, id);
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at > 0;
CREATE UNIQUE INDEX job_unique ON job (unique_key) WHERE unique_key <> '' AND state = 'pending' AND attempt = 0;

CREATE TABLE job_node (
    node TEXT   PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- +goose Down
DROP TABLE job_node;
DROP TABLE job;
