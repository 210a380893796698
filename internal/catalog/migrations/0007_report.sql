-- What inspections told of images' content.

-- +goose Up
CREATE TABLE image_report (
    image   TEXT   PRIMARY KEY,
    hash    TEXT   NOT NULL, -- of the content that was looked into
    report  TEXT   NOT NULL, -- JSON
    made_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE image_report;
