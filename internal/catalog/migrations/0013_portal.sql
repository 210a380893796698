-- Sessions of browsers. They are not in a backup.

-- +goose Up
CREATE TABLE portal_session (
    hash       TEXT   PRIMARY KEY, -- SHA-256 of the cookie's value, base64
    audit_id   TEXT   NOT NULL,    -- parent of the tokens that it made
    account    TEXT   NOT NULL REFERENCES account(id),
    project    TEXT   NOT NULL,    -- that was worked in last, '' if none
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX portal_session_account ON portal_session (account);

-- +goose Down
DROP TABLE portal_session;
