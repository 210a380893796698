-- Image metadata. Tags and properties are kept twice: as JSON in the row, so
-- that show and list are one query, and in tables of their own for filters.

-- +goose Up
CREATE TABLE image (
    id               TEXT    PRIMARY KEY,
    name             TEXT    NOT NULL,
    owner            TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    visibility       TEXT    NOT NULL,
    disk_format      TEXT    NOT NULL,
    container_format TEXT    NOT NULL,
    protected        BOOLEAN NOT NULL,
    hidden           BOOLEAN NOT NULL,
    min_disk         BIGINT  NOT NULL,
    min_ram          BIGINT  NOT NULL,
    size             BIGINT  NOT NULL, -- -1 while unknown
    virtual_size     BIGINT  NOT NULL, -- -1 while unknown
    md5              TEXT    NOT NULL,
    hash_algo        TEXT    NOT NULL,
    hash_value       TEXT    NOT NULL,
    object           BIGINT  NOT NULL, -- 0 while there is none
    realm            TEXT    NOT NULL, -- project whose realm the object lies in, '' is the platform
    was_object       BIGINT  NOT NULL, -- of a deleted image: the object that it had, for its delete card
    origin           TEXT    NOT NULL,
    base_image       TEXT    NOT NULL,
    instance_uuid    TEXT    NOT NULL,
    failure          TEXT    NOT NULL, -- JSON of the newest upload's failure, '' if none
    tags             TEXT    NOT NULL, -- JSON array
    properties       TEXT    NOT NULL, -- JSON object
    lease            BIGINT  NOT NULL, -- of the upload under way, 0 if none
    version          BIGINT  NOT NULL,
    card_version     BIGINT  NOT NULL, -- newest version whose card is durable
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    deleted_at       BIGINT  NOT NULL, -- 0 while it lives
    read_at          BIGINT  NOT NULL,
    reads            BIGINT  NOT NULL,
    recovered        BOOLEAN NOT NULL
);
-- Lists are scans of these, from the marker on, until the page is full: by
-- owner and visibility or by visibility alone, one for each sort key.
CREATE INDEX image_owner ON image (owner, visibility, hidden, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility ON image (visibility, hidden, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_name ON image (owner, visibility, hidden, name, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_name ON image (visibility, hidden, name, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_updated ON image (owner, visibility, hidden, updated_at, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_updated ON image (visibility, hidden, updated_at, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_size ON image (owner, visibility, hidden, size, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_size ON image (visibility, hidden, size, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_status ON image (owner, visibility, hidden, status, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_status ON image (visibility, hidden, status, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_container ON image (owner, visibility, hidden, container_format, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_container ON image (visibility, hidden, container_format, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_disk ON image (owner, visibility, hidden, disk_format, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_disk ON image (visibility, hidden, disk_format, created_at, id) WHERE deleted_at = 0;
CREATE INDEX image_owner_id ON image (owner, visibility, hidden, id) WHERE deleted_at = 0;
CREATE INDEX image_visibility_id ON image (visibility, hidden, id) WHERE deleted_at = 0;
-- What few images have is found by these.
CREATE INDEX image_md5 ON image (md5) WHERE deleted_at = 0 AND md5 <> '';
CREATE INDEX image_hash_value ON image (hash_value) WHERE deleted_at = 0 AND hash_value <> '';
CREATE INDEX image_object ON image (object) WHERE object <> 0;
CREATE INDEX image_card ON image (id) WHERE card_version < version;
CREATE INDEX image_lease ON image (id) WHERE lease <> 0;
CREATE INDEX image_unhashed ON image (id) WHERE object <> 0 AND hash_value = '' AND deleted_at = 0;

CREATE TABLE image_tag (
    tag   TEXT NOT NULL,
    image TEXT NOT NULL REFERENCES image(id),
    PRIMARY KEY (tag, image)
);
CREATE INDEX image_tag_image ON image_tag (image);

CREATE TABLE image_property (
    image TEXT NOT NULL REFERENCES image(id),
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image, name)
);
-- A value may be longer than an index takes.
CREATE INDEX image_property_value ON image_property (name, substr(value, 1, 64));

CREATE TABLE image_member (
    image            TEXT   NOT NULL REFERENCES image(id),
    project          TEXT   NOT NULL,
    status           TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    image_created_at BIGINT NOT NULL, -- never changes; here so that lists by age scan one index
    PRIMARY KEY (image, project)
);
CREATE INDEX image_member_project ON image_member (project, status, image_created_at, image);

-- Quotas: limits that the operator set, and space that uploads under way hold.
CREATE TABLE quota (
    project TEXT   NOT NULL,
    name    TEXT   NOT NULL, -- images, bytes, image_size, ...
    value   BIGINT NOT NULL, -- below 0 is unlimited
    PRIMARY KEY (project, name)
);

-- One row a project, locked by whoever takes or gives space.
CREATE TABLE quota_use (
    project  TEXT   PRIMARY KEY,
    images   BIGINT NOT NULL,
    bytes    BIGINT NOT NULL, -- of images that have content
    reserved BIGINT NOT NULL, -- of uploads under way
    uploads  BIGINT NOT NULL
);

CREATE TABLE reservation (
    image   TEXT   PRIMARY KEY,
    project TEXT   NOT NULL,
    lease   BIGINT NOT NULL,
    bytes   BIGINT NOT NULL
);

CREATE TABLE usage_day (
    project TEXT   NOT NULL,
    day     TEXT   NOT NULL, -- 2026-11-21
    images  BIGINT NOT NULL,
    shown   BIGINT NOT NULL,
    stored  BIGINT NOT NULL,
    uniq    BIGINT NOT NULL,
    PRIMARY KEY (project, day)
);

-- +goose Down
DROP TABLE usage_day;
DROP TABLE reservation;
DROP TABLE quota_use;
DROP TABLE quota;
DROP TABLE image_member;
DROP TABLE image_property;
DROP TABLE image_tag;
DROP TABLE image;
