package pgstore

import "strings"

// The statements. Names of tables begin with registry_auth_, before which
// [Store.sql] puts the schema.
const (
	loadSQL = `
		SELECT r.sequence, r.trimmed, d.kind, d.id, d.revision, d.data
		FROM registry_auth_realms r
		LEFT JOIN registry_auth_documents d ON d.realm = r.realm AND d.data IS NOT NULL
		WHERE r.realm = $1`

	numbersSQL = `SELECT sequence, trimmed FROM registry_auth_realms WHERE realm = $1`

	changesSQL = `
		SELECT r.sequence, r.trimmed, d.kind, d.id, d.revision, d.data
		FROM registry_auth_realms r
		LEFT JOIN registry_auth_documents d ON d.realm = r.realm AND d.revision > $2
		WHERE r.realm = $1
		ORDER BY d.revision`

	// In this transaction only: "acknowledged" means "durable" whatever the
	// database's default is, and a gateway that stops in the middle does not
	// keep the others out for long.
	settingsSQL = `
		SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
			set_config('statement_timeout', '10s', true),
			set_config('idle_in_transaction_session_timeout', '5s', true)`

	lockSQL = `
		SELECT r.sequence, f.format
		FROM registry_auth_realms r, registry_auth_format f
		WHERE r.realm = $1
		FOR UPDATE OF r`

	revisionsSQL = `
		SELECT d.kind, d.id, d.revision
		FROM unnest($2::text[], $3::text[]) AS k (kind, id)
		JOIN registry_auth_documents d ON d.kind = k.kind AND d.id = k.id
		WHERE d.realm = $1 AND d.data IS NOT NULL`

	newRealmSQL = `INSERT INTO registry_auth_realms (realm) VALUES ($1) ON CONFLICT DO NOTHING`

	documentsSQL = `
		INSERT INTO registry_auth_documents (realm, kind, id, revision, data, changed_at)
		SELECT $1, kind, id, revision, data, now()
		FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[]) AS d (kind, id, revision, data)
		ON CONFLICT (realm, kind, id) DO UPDATE
		SET revision = excluded.revision, data = excluded.data, changed_at = excluded.changed_at`

	sequenceSQL = `UPDATE registry_auth_realms SET sequence = $2 WHERE realm = $1`

	historySQL = `
		INSERT INTO registry_auth_history (realm, id, data)
		SELECT $1, id, data FROM unnest($2::text[], $3::bytea[]) AS h (id, data)
		ON CONFLICT DO NOTHING`

	notifySQL = `SELECT pg_notify('registry_auth', $1)`
	listenSQL = `LISTEN registry_auth`

	newestSQL = `SELECT id, data FROM registry_auth_history WHERE realm = $1 ORDER BY id DESC LIMIT $2`
	pageSQL   = `SELECT id, data FROM registry_auth_history WHERE realm = $1 AND id < $3 ORDER BY id DESC LIMIT $2`

	trimHistorySQL = `
		DELETE FROM registry_auth_history WHERE realm = $1 AND id IN
			(SELECT id FROM registry_auth_history WHERE realm = $1 AND id < $2 ORDER BY id LIMIT 10000)`

	onlyLockSQL = `SELECT FROM registry_auth_realms WHERE realm = $1 FOR UPDATE`

	trimDocumentsSQL = `
		WITH gone AS (
			DELETE FROM registry_auth_documents
			WHERE realm = $1 AND data IS NULL AND changed_at < now() - interval '1 hour'
			RETURNING revision
		)
		UPDATE registry_auth_realms
		SET trimmed = greatest(trimmed, (SELECT max(revision) FROM gone))
		WHERE realm = $1 AND EXISTS (SELECT FROM gone)`
)

// sql puts the schema before the names of the tables.
func (s *Store) sql(statement string) string {
	if s.prefix == "" {
		return statement
	}
	return strings.ReplaceAll(statement, "registry_auth_", s.prefix)
}
