-- Who may do what. Ids are 32 hex digits, times are microseconds since 1970.
-- Names are unique in their domain; the use cases compare them exactly.

-- +goose Up
CREATE TABLE domain (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    immutable   BOOLEAN NOT NULL, -- refuses changes until this is taken off
    created_at  BIGINT  NOT NULL
);

CREATE TABLE project (
    id          TEXT    PRIMARY KEY,
    domain      TEXT    NOT NULL REFERENCES domain(id),
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    immutable   BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    UNIQUE (domain, name)
);

CREATE TABLE project_tag (
    project TEXT NOT NULL REFERENCES project(id),
    tag     TEXT NOT NULL,
    PRIMARY KEY (project, tag)
);
CREATE INDEX project_tag_tag ON project_tag (tag);

-- "user" is a word of SQL.
CREATE TABLE account (
    id              TEXT    PRIMARY KEY,
    domain          TEXT    NOT NULL REFERENCES domain(id),
    name            TEXT    NOT NULL,
    email           TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    default_project TEXT    NOT NULL, -- '' if none
    password        TEXT    NOT NULL, -- argon2id as a PHC string, '' for none: no log-in
    options         TEXT    NOT NULL, -- JSON object
    enabled         BOOLEAN NOT NULL,
    created_at      BIGINT  NOT NULL,
    password_at     BIGINT  NOT NULL,
    UNIQUE (domain, name)
);

-- So is "group".
CREATE TABLE team (
    id          TEXT   PRIMARY KEY,
    domain      TEXT   NOT NULL REFERENCES domain(id),
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (domain, name)
);

CREATE TABLE team_member (
    team    TEXT NOT NULL REFERENCES team(id),
    account TEXT NOT NULL REFERENCES account(id),
    PRIMARY KEY (team, account)
);
CREATE INDEX team_member_account ON team_member (account);

CREATE TABLE role (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    description TEXT    NOT NULL,
    immutable   BOOLEAN NOT NULL
);

CREATE TABLE role_implied (
    prior   TEXT NOT NULL REFERENCES role(id),
    implied TEXT NOT NULL REFERENCES role(id),
    PRIMARY KEY (prior, implied)
);
CREATE INDEX role_implied_implied ON role_implied (implied);

CREATE TABLE assignment (
    actor_kind TEXT NOT NULL, -- user or group
    actor      TEXT NOT NULL,
    scope_kind TEXT NOT NULL, -- project, domain or system
    scope      TEXT NOT NULL, -- its id, 'all' for the system
    role       TEXT NOT NULL REFERENCES role(id),
    PRIMARY KEY (actor, scope_kind, scope, role)
);
CREATE INDEX assignment_scope ON assignment (scope);
CREATE INDEX assignment_role ON assignment (role);

CREATE TABLE application_credential (
    id           TEXT    PRIMARY KEY,
    account      TEXT    NOT NULL REFERENCES account(id),
    project      TEXT    NOT NULL REFERENCES project(id),
    name         TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    secret       TEXT    NOT NULL, -- as a password
    roles        TEXT    NOT NULL, -- JSON array of role ids
    unrestricted BOOLEAN NOT NULL,
    expires_at   BIGINT  NOT NULL, -- 0 for never
    created_at   BIGINT  NOT NULL,
    UNIQUE (account, name)
);
CREATE INDEX application_credential_project ON application_credential (project);

CREATE TABLE access_rule (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account(id),
    service TEXT NOT NULL,
    method  TEXT NOT NULL,
    path    TEXT NOT NULL,
    UNIQUE (account, service, method, path)
);

CREATE TABLE application_credential_rule (
    credential TEXT NOT NULL REFERENCES application_credential(id),
    rule       TEXT NOT NULL REFERENCES access_rule(id),
    PRIMARY KEY (credential, rule)
);
CREATE INDEX application_credential_rule_rule ON application_credential_rule (rule);

-- Secrets that kuva keeps for others, such as EC2 keys.
CREATE TABLE credential (
    id         TEXT   PRIMARY KEY,
    account    TEXT   NOT NULL REFERENCES account(id),
    project    TEXT   NOT NULL, -- '' if none
    kind       TEXT   NOT NULL,
    wrapping   TEXT   NOT NULL, -- name of the key that sealed the content
    content    TEXT   NOT NULL, -- base64
    created_at BIGINT NOT NULL
);
CREATE INDEX credential_account ON credential (account);

CREATE TABLE region (
    id          TEXT   PRIMARY KEY,
    parent      TEXT   NOT NULL, -- '' if none
    description TEXT   NOT NULL
);

CREATE TABLE service (
    id          TEXT    PRIMARY KEY,
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL
);

CREATE TABLE endpoint (
    id        TEXT    PRIMARY KEY,
    service   TEXT    NOT NULL REFERENCES service(id),
    region    TEXT    NOT NULL, -- '' if none
    interface TEXT    NOT NULL, -- public, internal, admin
    url       TEXT    NOT NULL, -- from "/" on it is below the service's own address
    name      TEXT    NOT NULL,
    enabled   BOOLEAN NOT NULL
);
CREATE INDEX endpoint_service ON endpoint (service);

-- A revoked token has no row. Expired ones keep theirs for a while, so that an
-- upload that outlived its token can tell expired from revoked.
CREATE TABLE token (
    hash       TEXT   PRIMARY KEY, -- SHA-256 of the token, base64
    audit_id   TEXT   NOT NULL,
    parent     TEXT   NOT NULL, -- audit id of the token that it was made from, '' if none
    methods    TEXT   NOT NULL, -- comma list
    account    TEXT   NOT NULL REFERENCES account(id),
    scope_kind TEXT   NOT NULL, -- project, domain, system, '' for an unscoped token
    scope      TEXT   NOT NULL, -- id of the project or domain
    credential TEXT   NOT NULL, -- application credential that it was made with, '' if none
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX token_account ON token (account);
CREATE INDEX token_scope ON token (scope);
CREATE INDEX token_credential ON token (credential);
CREATE INDEX token_expires ON token (expires_at);

-- +goose Down
DROP TABLE token;
DROP TABLE endpoint;
DROP TABLE service;
DROP TABLE region;
DROP TABLE credential;
DROP TABLE application_credential_rule;
DROP TABLE access_rule;
DROP TABLE application_credential;
DROP TABLE assignment;
DROP TABLE role_implied;
DROP TABLE role;
DROP TABLE team_member;
DROP TABLE team;
DROP TABLE account;
DROP TABLE project_tag;
DROP TABLE project;
DROP TABLE domain;
