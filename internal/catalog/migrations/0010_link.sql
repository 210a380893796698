-- Links: addresses that are good for one image without a token.

-- +goose Up
CREATE TABLE link (
    id         TEXT    PRIMARY KEY, -- UUID of version 7: the order of making
    digest     TEXT    NOT NULL UNIQUE, -- SHA-256 of the secret, base64; the secret is kept nowhere
    image      TEXT    NOT NULL,
    project    TEXT    NOT NULL, -- of who made it
    maker      TEXT    NOT NULL, -- JSON of the principal
    reads      BOOLEAN NOT NULL, -- good for downloads
    writes     BOOLEAN NOT NULL, -- good for an upload
    format     TEXT    NOT NULL, -- of the file; '' is what was sent
    options    TEXT    NOT NULL, -- JSON, of the format
    most       BIGINT  NOT NULL, -- uses that it is good for, 0 is any number
    uses       BIGINT  NOT NULL,
    used_at    BIGINT  NOT NULL, -- 0 before the first use
    used_from  TEXT    NOT NULL, -- address of the newest use
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);
CREATE INDEX link_image ON link (image, id);
CREATE INDEX link_project ON link (project, id);
CREATE INDEX link_expires ON link (expires_at);

-- A use that may be gone on with: ranges of the same file, by the same address.
CREATE TABLE link_use (
    link     TEXT   NOT NULL REFERENCES link(id),
    address  TEXT   NOT NULL,
    etag     TEXT   NOT NULL,
    began_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (link, address, etag)
);

-- +goose Down
DROP TABLE link_use;
DROP TABLE link;
