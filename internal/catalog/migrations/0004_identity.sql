-- Who may do what. Ids are 32 hex digits, times are microseconds since 1970.
-- Names are unique in their domain; the use cases compare them exactly.

-- +goose Up
CREATE TABLE domain (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE project (
    id          TEXT    PRIMARY KEY,
    domain      TEXT    NOT NULL REFERENCES domain(id),
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    UNIQUE (domain, name)
);

-- "user" is a word of SQL.
CREATE TABLE account (
    id              TEXT    PRIMARY KEY,
    domain          TEXT    NOT NULL REFERENCES domain(id),
    name            TEXT    NOT NULL,
    email           TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    default_project TEXT    NOT NULL, -- '' if none
    password        TEXT    NOT NULL, -- argon2id as a PHC string, '' for none: no log-in
    enabled         BOOLEAN NOT NULL,
    created_at      BIGINT  NOT NULL,
    password_at     BIGINT  NOT NULL,
    UNIQUE (domain, name)
);

CREATE TABLE role (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE assignment (
    account TEXT NOT NULL REFERENCES account(id),
    project TEXT NOT NULL REFERENCES project(id),
    role    TEXT NOT NULL REFERENCES role(id),
    PRIMARY KEY (account, project, role)
);
CREATE INDEX assignment_project ON assignment (project);

-- A revoked token has no row. Expired ones keep theirs for a while, so that an
-- upload that outlived its token can tell expired from revoked.
CREATE TABLE token (
    hash       TEXT   PRIMARY KEY, -- SHA-256 of the token, base64
    audit_id   TEXT   NOT NULL,
    parent     TEXT   NOT NULL, -- audit id of the token that it was made from, '' if none
    methods    TEXT   NOT NULL, -- comma list
    account    TEXT   NOT NULL REFERENCES account(id),
    project    TEXT   NOT NULL, -- '' for an unscoped token
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX token_account ON token (account);
CREATE INDEX token_expires ON token (expires_at);

-- +goose Down
DROP TABLE token;
DROP TABLE assignment;
DROP TABLE role;
DROP TABLE account;
DROP TABLE project;
DROP TABLE domain;
