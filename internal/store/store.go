// Package store keeps everything, with one SQL for both engines: SQLite (modernc.org/sqlite) and PostgreSQL (pgx).
//
//	flow ─► InTx(func(Store) error) ─┬─ SQLite: one writer groups concurrent flows, a savepoint each, one durable commit
//	                                 └─ PostgreSQL: a transaction each, retried on serialisation conflicts
//	flow ─► View(func(Store) error) ─► readers, never waiting for the writer
//
// Tx implements the ports that the rooms declare; each room's statements lie in one file. The contract of a port
// is in the comment beside it, and storetest holds both engines to it.
package store
