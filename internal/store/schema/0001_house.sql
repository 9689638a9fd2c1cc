-- +goose Up

-- Every index is a page more that a commit writes: there is one only where something is looked up by it often. Tables
-- found by a random or ordered key alone keep their rows in that key's tree on SQLite (see schema.go).

-- Who there is. Names are compared in their normalised columns (people.Normalise); a person who left keeps the row
-- and so keeps the name reserved; an erased person leaves only a keyed hash of the name in reserved_names.
CREATE TABLE people (
	id            TEXT PRIMARY KEY,
	username      TEXT NOT NULL,
	username_norm TEXT NOT NULL,
	email         TEXT NOT NULL,
	email_norm    TEXT,
	display_name  TEXT NOT NULL,
	given_name    TEXT NOT NULL,
	family_name   TEXT NOT NULL,
	locale        TEXT NOT NULL,
	group_names   TEXT NOT NULL,
	role_names    TEXT NOT NULL,
	state         BIGINT NOT NULL,
	lead          TEXT NOT NULL,
	audit_key     BYTEA,
	created       BIGINT NOT NULL,
	updated       BIGINT NOT NULL,
	version       BIGINT NOT NULL
);
CREATE UNIQUE INDEX people_username ON people (username_norm);
CREATE UNIQUE INDEX people_email ON people (email_norm);
CREATE INDEX people_state ON people (state);
CREATE TABLE reserved_names (hash BYTEA PRIMARY KEY);

CREATE TABLE credentials (
	id        TEXT PRIMARY KEY,
	person    TEXT NOT NULL,
	kind      TEXT NOT NULL,
	name      TEXT NOT NULL,
	handle    BYTEA,
	state     BYTEA NOT NULL,
	pending   BOOLEAN NOT NULL,
	created   BIGINT NOT NULL,
	last_used BIGINT NOT NULL,
	version   BIGINT NOT NULL
);
CREATE INDEX credentials_person ON credentials (person);
CREATE UNIQUE INDEX credentials_handle ON credentials (kind, handle) WHERE handle IS NOT NULL;

CREATE TABLE sessions (
	id         TEXT PRIMARY KEY,
	token_hash BYTEA NOT NULL,
	person     TEXT NOT NULL,
	browser    BYTEA,
	evidence   TEXT NOT NULL,
	family     TEXT NOT NULL,
	created    BIGINT NOT NULL,
	last_seen  BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	address    TEXT NOT NULL,
	agent      TEXT NOT NULL,
	version    BIGINT NOT NULL
);
CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);
CREATE INDEX sessions_person ON sessions (person);
CREATE INDEX sessions_family ON sessions (family) WHERE family <> '';
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE remembered_browsers (
	family     TEXT PRIMARY KEY,
	person     TEXT NOT NULL,
	token_hash BYTEA NOT NULL,
	prev_hash  BYTEA,
	rotated    BIGINT NOT NULL,
	created    BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	last_used  BIGINT NOT NULL,
	proven_at  BIGINT NOT NULL,
	browser_id BYTEA,
	agent      TEXT NOT NULL,
	address    TEXT NOT NULL,
	generation BIGINT NOT NULL
);
CREATE INDEX remembered_browsers_person ON remembered_browsers (person);
CREATE INDEX remembered_browsers_expires ON remembered_browsers (expires);

CREATE TABLE known_browsers (
	person  TEXT NOT NULL,
	browser BYTEA NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (person, browser)
) /*sqlite WITHOUT ROWID*/;

-- Guess budgets (throttle.Counter).
CREATE TABLE counters (
	key   BYTEA PRIMARY KEY,
	tat   BIGINT NOT NULL,
	wrong BIGINT NOT NULL,
	told  BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX counters_tat ON counters (tat);

CREATE TABLE attempts (
	id       TEXT PRIMARY KEY,
	browser  BYTEA NOT NULL,
	person   TEXT NOT NULL,
	session  TEXT NOT NULL,
	evidence TEXT NOT NULL,
	target   TEXT NOT NULL,
	created  BIGINT NOT NULL,
	expires  BIGINT NOT NULL,
	version  BIGINT NOT NULL
);
CREATE INDEX attempts_expires ON attempts (expires);
CREATE INDEX attempts_person ON attempts (person);

CREATE TABLE proofs (
	session TEXT NOT NULL,
	act     TEXT NOT NULL,
	object  TEXT NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (session, act, object)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX proofs_at ON proofs (at);

-- One-time artefacts that were used, by hash.
CREATE TABLE spent (
	hash    BYTEA PRIMARY KEY,
	expires BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX spent_expires ON spent (expires);

CREATE TABLE invitations (
	id      TEXT PRIMARY KEY,
	person  TEXT NOT NULL,
	hash    BYTEA NOT NULL,
	browser BYTEA,
	purpose TEXT NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	by_whom TEXT NOT NULL,
	version BIGINT NOT NULL
);
CREATE UNIQUE INDEX invitations_person ON invitations (person);
CREATE UNIQUE INDEX invitations_hash ON invitations (hash);
CREATE INDEX invitations_expires ON invitations (expires);

-- What nodes cache by version: 'policy', 'applications'. A transaction that decides reads its line.
CREATE TABLE versions (
	name  TEXT PRIMARY KEY,
	value BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE TABLE policies (
	version BIGINT PRIMARY KEY,
	policy  TEXT NOT NULL,
	source  BYTEA,
	by_whom TEXT NOT NULL,
	why     TEXT NOT NULL,
	at      BIGINT NOT NULL
);
CREATE TABLE settings (
	name    TEXT PRIMARY KEY,
	value   BYTEA,
	updated BIGINT NOT NULL
);
CREATE TABLE api_tokens (
	hash    BYTEA PRIMARY KEY,
	name    TEXT NOT NULL,
	scopes  TEXT NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name);

CREATE TABLE applications (
	id        TEXT PRIMARY KEY,
	name      TEXT NOT NULL,
	client_id TEXT,
	data      TEXT NOT NULL,
	version   BIGINT NOT NULL
);
CREATE UNIQUE INDEX applications_client ON applications (client_id);

-- A code and the refresh family it opens are one row; both tokens name its id, so that no hash needs an index.
CREATE TABLE grants (
	id           TEXT PRIMARY KEY,
	application  TEXT NOT NULL,
	person       TEXT NOT NULL,
	session      TEXT NOT NULL,
	offline      BOOLEAN NOT NULL,
	issued       TEXT NOT NULL,
	code_hash    BYTEA,
	code_expires BIGINT NOT NULL,
	code_used    BOOLEAN NOT NULL,
	refresh_hash BYTEA,
	prev_hash    BYTEA,
	rotated      BIGINT NOT NULL,
	generation   BIGINT NOT NULL,
	expires      BIGINT NOT NULL,
	revoked      BOOLEAN NOT NULL,
	created      BIGINT NOT NULL,
	version      BIGINT NOT NULL
);
CREATE INDEX grants_session ON grants (session) WHERE session <> '';
CREATE INDEX grants_person ON grants (person) WHERE person <> '';
CREATE INDEX grants_expires ON grants (expires);

CREATE TABLE access_tokens (
	hash     BYTEA PRIMARY KEY,
	grant_id TEXT NOT NULL,
	scope    TEXT NOT NULL,
	expires  BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX access_tokens_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_expires ON access_tokens (expires);
CREATE TABLE revoked_tokens (
	id      TEXT PRIMARY KEY,
	expires BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires);

CREATE TABLE signing_keys (
	id        TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	state     BIGINT NOT NULL,
	public    BYTEA NOT NULL,
	sealed    BYTEA NOT NULL,
	created   BIGINT NOT NULL,
	changed   BIGINT NOT NULL
);

CREATE TABLE messages (
	id        TEXT PRIMARY KEY,
	person    TEXT NOT NULL,
	channel   TEXT NOT NULL,
	recipient TEXT NOT NULL,
	kind      TEXT NOT NULL,
	params    TEXT NOT NULL,
	locale    TEXT NOT NULL,
	created   BIGINT NOT NULL,
	not_until BIGINT NOT NULL,
	lease     BIGINT NOT NULL,
	tries     BIGINT NOT NULL,
	sent_at   BIGINT NOT NULL,
	given_up  BOOLEAN NOT NULL,
	last_fail TEXT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX messages_due ON messages (not_until) WHERE sent_at = 0 AND NOT given_up;
CREATE INDEX messages_person ON messages (person);
CREATE INDEX messages_created ON messages (created);

-- The trail. Rows are only ever inserted; sealed alone may be emptied, by erasing a person.
CREATE TABLE audit (
	chain      TEXT NOT NULL,
	seq        BIGINT NOT NULL,
	prev       BYTEA,
	hash       BYTEA NOT NULL,
	commitment BYTEA,
	sealed     BYTEA,
	at         BIGINT NOT NULL,
	act        TEXT NOT NULL,
	outcome    TEXT NOT NULL,
	actor      TEXT NOT NULL,
	subject    TEXT NOT NULL,
	object     TEXT NOT NULL,
	door       TEXT NOT NULL,
	reason     TEXT NOT NULL,
	detail     TEXT NOT NULL,
	PRIMARY KEY (chain, seq)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX audit_subject ON audit (subject, at) WHERE subject <> '';
CREATE TABLE audit_heads (
	chain TEXT PRIMARY KEY,
	seq   BIGINT NOT NULL,
	hash  BYTEA NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE TABLE audit_checkpoints (
	id   TEXT PRIMARY KEY,
	at   BIGINT NOT NULL,
	line TEXT NOT NULL
);
CREATE INDEX audit_checkpoints_at ON audit_checkpoints (at);

-- +goose Down
