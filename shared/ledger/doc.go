// Package ledger remembers refunds.
//
// It stores items, as [wxrefund/shared/refund.Ledger] describes them: a key, a
// version, a body that is never looked into, and a time at which to look at the
// item again. Nothing here knows about money. What it promises is what the
// arithmetic of package refund stands on: a commit is written whole or not at
// all, only over the versions that it expects, and once it has returned it
// outlives a crash of the process and of the machine.
//
// [Open] chooses the database by the scheme of a URL:
//
//	sqlite:PATH      one file, shared by any number of processes of one host
//	sqlite::memory:  gone when closed; each one private
//	postgres://…     a PostgreSQL server
//	mysql://…        a server that speaks MySQL's language: MariaDB, TDSQL-C, TiDB
//	dynamodb://TABLE?region=REGION
//	                 a table of Amazon's
//	cloudbase:ENV_ID the PostgreSQL of a CloudBase environment, over HTTPS
//
// The rules that hold for every database (which keys, which commits, what a
// cursor is) live in [Store]; the SQL that databases share lives in table; what
// differs between them is a dialect.
package ledger
