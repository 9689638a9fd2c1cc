-- +goose Up

-- The phone in the pocket. A binary of step 1 may run beside this one: what it writes finds a default in every new
-- column, and the new tables are none of its business.

-- The password may be known to somebody else; a new one is asked for after the next full proof.
ALTER TABLE people ADD COLUMN new_password BOOLEAN NOT NULL DEFAULT FALSE;

-- device is the App credential whose phone holds this one too. endpoint is where pushes go to (sealed): kept in the
-- credential's own row, it cannot outlive it.
ALTER TABLE credentials ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE credentials ADD COLUMN held_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN endpoint BYTEA;

-- code is sealed and emptied when the message was sent or given up.
ALTER TABLE messages ADD COLUMN code BYTEA;
ALTER TABLE messages ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;

-- What was sent out so that somebody can prove. sealed: state, page data, number, address and agent.
CREATE TABLE challenges (
	id          TEXT PRIMARY KEY,
	person      TEXT NOT NULL,
	attempt     TEXT NOT NULL,
	browser     BYTEA,
	known       BOOLEAN NOT NULL,
	kind        TEXT NOT NULL,
	via         TEXT NOT NULL,
	sealed      BYTEA NOT NULL,
	sent        TEXT NOT NULL,
	standing    BIGINT NOT NULL,
	proof       TEXT NOT NULL,
	answered_by TEXT NOT NULL,
	application TEXT NOT NULL,
	country     TEXT NOT NULL,
	created     BIGINT NOT NULL,
	expires     BIGINT NOT NULL,
	ends        BIGINT NOT NULL,
	answered    BIGINT NOT NULL,
	version     BIGINT NOT NULL
);
CREATE INDEX challenges_attempt ON challenges (attempt);
CREATE INDEX challenges_person ON challenges (person, created);
CREATE INDEX challenges_created ON challenges (created);

-- How far a challenge came on its way to each credential.
CREATE TABLE deliveries (
	challenge  TEXT NOT NULL,
	credential TEXT NOT NULL,
	state      BIGINT NOT NULL,
	at         BIGINT NOT NULL,
	detail     TEXT NOT NULL,
	PRIMARY KEY (challenge, credential)
) /*sqlite WITHOUT ROWID*/;

-- Sources that may not send requests to an account.
CREATE TABLE blocks (
	person  TEXT NOT NULL,
	source  BYTEA NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (person, source)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX blocks_expires ON blocks (expires);

-- A phone on its way to an account; one for each person. sealed: what the phone brought, and the code that it shows.
CREATE TABLE pairings (
	id         TEXT PRIMARY KEY,
	person     TEXT NOT NULL,
	token      BYTEA NOT NULL,
	code       BYTEA NOT NULL,
	browser    BYTEA,
	session    TEXT NOT NULL,
	invitation TEXT NOT NULL,
	device     TEXT NOT NULL,
	standing   BIGINT NOT NULL,
	sealed     BYTEA NOT NULL,
	wrong      BIGINT NOT NULL,
	credential TEXT NOT NULL,
	created    BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	version    BIGINT NOT NULL
);
CREATE UNIQUE INDEX pairings_person ON pairings (person);
CREATE UNIQUE INDEX pairings_token ON pairings (token);
CREATE UNIQUE INDEX pairings_code ON pairings (code);
CREATE INDEX pairings_expires ON pairings (expires);

-- What administrators must look at; one open case for each kind, person and object. sealed: what is personal.
CREATE TABLE incidents (
	id        TEXT PRIMARY KEY,
	kind      TEXT NOT NULL,
	person    TEXT NOT NULL,
	object    TEXT NOT NULL,
	detail    TEXT NOT NULL,
	sealed    BYTEA,
	opened    BIGINT NOT NULL,
	closed    BIGINT NOT NULL,
	closed_by TEXT NOT NULL,
	why       TEXT NOT NULL,
	count     BIGINT NOT NULL,
	version   BIGINT NOT NULL
);
CREATE UNIQUE INDEX incidents_open ON incidents (kind, person, object) WHERE closed = 0;
CREATE INDEX incidents_person ON incidents (person, opened);
CREATE INDEX incidents_opened ON incidents (opened);

-- +goose Down
