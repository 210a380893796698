-- Content that comes in steps, or from elsewhere, and images that change hands.

-- +goose Up
-- Content that was sent and is not an image's yet, or lies in another realm
-- than the image that is made of it. The object is pinned while the row is
-- there; what it takes of the quota is in the image's reservation.
CREATE TABLE image_staged (
    image      TEXT   PRIMARY KEY,
    object     BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- The job that brings an image's content.
CREATE TABLE image_import (
    image TEXT PRIMARY KEY,
    job   TEXT NOT NULL
);

-- Where content was fetched from, as its owner said.
CREATE TABLE image_location (
    image TEXT PRIMARY KEY,
    url   TEXT NOT NULL
);

-- Images that their owners want to give to another project.
CREATE TABLE image_offer (
    image      TEXT   PRIMARY KEY,
    owner      TEXT   NOT NULL, -- that offered it
    project    TEXT   NOT NULL, -- that it is offered to
    created_at BIGINT NOT NULL
);
CREATE INDEX image_offer_project ON image_offer (project, image);
CREATE INDEX image_offer_owner ON image_offer (owner, image);

-- Objects that an image left behind when its content moved to another realm,
-- pinned for those who read them still.
CREATE TABLE image_outgrown (
    object BIGINT PRIMARY KEY,
    image  TEXT   NOT NULL,
    at     BIGINT NOT NULL
);
CREATE INDEX image_outgrown_image ON image_outgrown (image);
CREATE INDEX image_outgrown_at ON image_outgrown (at);

-- +goose Down
DROP TABLE image_outgrown;
DROP TABLE image_offer;
DROP TABLE image_location;
DROP TABLE image_import;
DROP TABLE image_staged;
