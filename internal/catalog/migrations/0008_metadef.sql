-- Metadata definitions: what properties of images, flavors and volumes mean.

-- +goose Up
CREATE TABLE metadef_namespace (
    id           BIGINT  PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    display_name TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    visibility   TEXT    NOT NULL, -- public, private
    owner        TEXT    NOT NULL,
    protected    BOOLEAN NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL
);
CREATE INDEX metadef_namespace_age ON metadef_namespace (created_at, name);

-- Objects, properties, tags and associated resource types of namespaces.
CREATE TABLE metadef_item (
    namespace  BIGINT NOT NULL REFERENCES metadef_namespace(id),
    kind       TEXT   NOT NULL, -- object, property, tag, resource_type
    name       TEXT   NOT NULL,
    body       TEXT   NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, kind, name)
);
CREATE INDEX metadef_item_name ON metadef_item (kind, name);

-- Kinds of resources that a namespace was ever associated with.
CREATE TABLE metadef_resource_type (
    name       TEXT   PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE metadef_resource_type;
DROP TABLE metadef_item;
DROP TABLE metadef_namespace;
