-- The depot's ledger. Ids are random positive 63-bit numbers, so that a
-- ledger that was rolled back never hands out a key twice. Times are
-- microseconds since 1970. Bytes (wrapped keys) are base64 text, so that one
-- SQL text serves SQLite and PostgreSQL.

-- +goose Up
CREATE TABLE store (
    id          BIGINT PRIMARY KEY, -- always 1
    store_id    TEXT   NOT NULL,
    epoch       BIGINT NOT NULL,
    cycle_token BIGINT NOT NULL
);

CREATE TABLE realm (
    id           BIGINT PRIMARY KEY,
    kind         TEXT   NOT NULL, -- platform, project
    project      TEXT   NOT NULL UNIQUE, -- '' for the platform
    state        TEXT   NOT NULL, -- active, closing, shredded
    wrapping_key TEXT   NOT NULL  -- name in the key service
);

CREATE TABLE realm_key (
    realm   BIGINT NOT NULL REFERENCES realm(id),
    key_id  BIGINT NOT NULL,
    wrapped TEXT   NOT NULL, -- name key and data key, wrapped
    wrap_no BIGINT NOT NULL,
    state   TEXT   NOT NULL, -- current, old
    PRIMARY KEY (realm, key_id)
);

CREATE TABLE lease (
    id      BIGINT PRIMARY KEY,
    kind    TEXT   NOT NULL, -- node, upload, compaction
    node    TEXT   NOT NULL,
    beat    BIGINT NOT NULL,
    state   TEXT   NOT NULL, -- live, committed, aborted, expired
    created BIGINT NOT NULL
);
CREATE INDEX lease_state ON lease (state, node);

CREATE TABLE pack (
    id              BIGINT  PRIMARY KEY,
    key             TEXT    NOT NULL UNIQUE,
    realm           BIGINT  NOT NULL,
    key_id          BIGINT  NOT NULL,
    state           TEXT    NOT NULL, -- open, sealed, draining, condemned, deleted
    stamp           BIGINT  NOT NULL,
    epoch           BIGINT  NOT NULL,
    condemned_epoch BIGINT  NOT NULL,
    bytes           BIGINT  NOT NULL,
    chunks          BIGINT  NOT NULL,
    lease           BIGINT  NOT NULL,
    suspect         BOOLEAN NOT NULL
);
CREATE INDEX pack_state ON pack (state, condemned_epoch);
CREATE INDEX pack_lease ON pack (lease);

CREATE TABLE object (
    ref    BIGINT PRIMARY KEY,
    realm  BIGINT NOT NULL,
    kind   TEXT   NOT NULL, -- exact, disk
    size   BIGINT NOT NULL,
    state  TEXT   NOT NULL, -- live, dead
    stamp  BIGINT NOT NULL,
    recipe BIGINT NOT NULL,
    stored BIGINT NOT NULL -- sealed bytes that it refers to
);
CREATE INDEX object_state ON object (state);

CREATE TABLE recipe (
    id              BIGINT PRIMARY KEY,
    object          BIGINT NOT NULL,
    gen             BIGINT NOT NULL,
    key             TEXT   NOT NULL UNIQUE,
    state           TEXT   NOT NULL, -- announced, current, superseded, condemned, deleted
    lease           BIGINT NOT NULL,
    condemned_epoch BIGINT NOT NULL,
    bytes           BIGINT NOT NULL
);
CREATE INDEX recipe_object ON recipe (object);
CREATE INDEX recipe_state ON recipe (state, condemned_epoch);

CREATE TABLE recipe_pack (
    recipe BIGINT NOT NULL,
    pack   BIGINT NOT NULL,
    bytes  BIGINT NOT NULL,
    PRIMARY KEY (recipe, pack)
);
CREATE INDEX recipe_pack_pack ON recipe_pack (pack);

CREATE TABLE lease_pack (
    lease BIGINT NOT NULL,
    pack  BIGINT NOT NULL,
    PRIMARY KEY (lease, pack)
);
CREATE INDEX lease_pack_pack ON lease_pack (pack);

CREATE TABLE hook (
    realm   BIGINT NOT NULL,
    name8   BIGINT NOT NULL,
    object  BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    at      BIGINT NOT NULL, -- newer ones are the better hints
    PRIMARY KEY (realm, name8, object, segment)
);
CREATE INDEX hook_object ON hook (object);

CREATE TABLE pin (
    object BIGINT NOT NULL,
    holder TEXT   NOT NULL,
    PRIMARY KEY (object, holder)
);

CREATE TABLE pack_check (
    pack BIGINT PRIMARY KEY
);

-- +goose Down
DROP TABLE pack_check;
DROP TABLE pin;
DROP TABLE hook;
DROP TABLE lease_pack;
DROP TABLE recipe_pack;
DROP TABLE recipe;
DROP TABLE object;
DROP TABLE pack;
DROP TABLE lease;
DROP TABLE realm_key;
DROP TABLE realm;
DROP TABLE store;
