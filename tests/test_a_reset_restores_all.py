"""After any statement the next test finds the database as the first one did; pg_dump is the judge.

The statements stand first, in groups. Blank lines part what one test runs; a semicolon at the end
of a line ends a statement. `:database` is the database that the test uses.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

from harness.external import ADMINISTRATOR, ADMINISTRATOR_PASSWORD, installed_programs
from harness.parameters import long
from harness.project import Project
from harness.suite import audit, write

RESTORED: Final = """
INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');

INSERT INTO users (email, name)
    SELECT number || '@example.com', 'n' FROM generate_series(1, 500) number;

BEGIN;
INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');
ROLLBACK;

BEGIN;
INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');
SAVEPOINT inner_one;
UPDATE kept.country SET price = 0;
ROLLBACK TO inner_one;
COMMIT;

INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');
DELETE FROM users;

INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');
TRUNCATE users CASCADE;

TRUNCATE users RESTART IDENTITY CASCADE;

COPY users (email, name) FROM STDIN;

BEGIN;
TRUNCATE users CASCADE;
COPY users (email, name) FROM STDIN (FREEZE);
COMMIT;

INSERT INTO kept.country (code) VALUES ('fr');

INSERT INTO kept.country (id, code) OVERRIDING SYSTEM VALUE VALUES (77, 'fr');

INSERT INTO kept.many (name) VALUES ('new');

INSERT INTO kept.many (name) VALUES ('new');
UPDATE kept.many SET name = 'newer' WHERE name = 'new';

INSERT INTO kept.many (name) VALUES ('new');
DELETE FROM kept.many WHERE name = 'new';

BEGIN;
DELETE FROM kept.many WHERE id < 5;
ROLLBACK;

UPDATE kept.country SET price = price + 1 WHERE code = 'de';

UPDATE kept.country SET code = code;

UPDATE kept.country SET price = price;

DELETE FROM kept.country WHERE code = 'it';

DELETE FROM kept.country;

DELETE FROM kept.city;

MERGE INTO kept.country c USING (VALUES ('de'), ('fr')) AS n (code) ON c.code = n.code
    WHEN MATCHED THEN UPDATE SET price = 5 WHEN NOT MATCHED THEN INSERT (code) VALUES (n.code);

INSERT INTO kept.country (code) VALUES ('de') ON CONFLICT (code) DO UPDATE SET price = 9;

INSERT INTO kept.country (code) VALUES ('de') ON CONFLICT DO NOTHING;

WITH gone AS (DELETE FROM kept.city RETURNING *)
    INSERT INTO kept.city (country_id, name) SELECT country_id, upper(name) FROM gone;

TRUNCATE kept.city;

TRUNCATE kept.city RESTART IDENTITY;

TRUNCATE kept.country CASCADE;

TRUNCATE kept.country, kept.city RESTART IDENTITY;

BEGIN;
TRUNCATE kept.country CASCADE;
ROLLBACK;

TRUNCATE kept.city;
INSERT INTO kept.city (country_id, name) SELECT id, code FROM kept.country;

BEGIN;
TRUNCATE kept.city;
INSERT INTO kept.city (country_id, name) SELECT id, code FROM kept.country;
COMMIT;

TRUNCATE kept.reading;

TRUNCATE ONLY kept.reading_2024;

INSERT INTO kept.reading VALUES ('2024-05-05', 5), ('2025-05-05', 6), ('1999-05-05', 7);

UPDATE kept.reading SET taken = taken + interval '1 year';

UPDATE kept.reading_2024 SET value = 0;

DELETE FROM kept.reading WHERE taken < '2025-01-01';

INSERT INTO kept.being VALUES ('moss');
INSERT INTO kept.animal VALUES ('hen', 2);

UPDATE kept.being SET name = upper(name);

DELETE FROM ONLY kept.being;

TRUNCATE kept.being;

INSERT INTO kept.cache VALUES ('key', 'value');

TRUNCATE kept.cache;

UPDATE kept.typed
    SET mood = 'happy', tags = '{a,b}', span = '[1,5)', document = '{"a": null}';

UPDATE kept.typed SET note = repeat(md5(random()::text), 4000);

UPDATE kept.self_referring SET parent = 3;

DELETE FROM kept.self_referring;

UPDATE kept.city_names SET name = 'Paris';

DELETE FROM kept.city_names;

SELECT nextval('users_id_seq');

SELECT nextval('kept.country_id_seq'), nextval('kept.city_id_seq'), nextval('kept.tickets');

SELECT nextval('kept.tickets') FROM generate_series(1, 100);

SELECT setval('kept.tickets', 5000);

SELECT setval('kept.tickets', 5000, false);

SELECT setval('kept.tickets', 100, false);

SELECT setval('kept.tickets', 100, true);

SELECT setval('kept.invoices', 1, false);

SELECT setval('kept.invoices', 1000);

BEGIN;
SELECT nextval('kept.tickets');
ROLLBACK;

CREATE TEMPORARY TABLE scratch (id serial PRIMARY KEY, name text);
INSERT INTO scratch (name) VALUES ('a');

CREATE TEMPORARY TABLE users (id int);
INSERT INTO users VALUES (1);

CREATE TEMPORARY TABLE scratch AS TABLE kept.country;
DROP TABLE scratch;

BEGIN;
CREATE TEMPORARY TABLE scratch (id int) ON COMMIT DROP;
COMMIT;

CREATE TEMPORARY SEQUENCE counted;
SELECT nextval('counted');

CREATE TEMPORARY VIEW scratch AS SELECT 1 AS one;

CREATE TYPE pg_temp.pair AS (a int, b int);

SET search_path = kept;
INSERT INTO city (country_id, name) VALUES (1, 'Bonn');

SET default_transaction_isolation = 'serializable';
INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');

SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;

LISTEN news;
NOTIFY news, 'something';

PREPARE one AS SELECT 1;
EXECUTE one;

SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2, 3);

BEGIN;
SELECT pg_advisory_xact_lock(1);
COMMIT;

BEGIN;
DECLARE cities CURSOR WITH HOLD FOR TABLE kept.city;
COMMIT;

BEGIN;
SELECT * FROM kept.country FOR UPDATE;
COMMIT;

BEGIN;
LOCK TABLE kept.country IN ACCESS EXCLUSIVE MODE;
COMMIT;

DO $$ BEGIN DELETE FROM kept.city; COMMIT; DELETE FROM users; ROLLBACK; END $$;

EXPLAIN ANALYZE DELETE FROM kept.city;

BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE kept.city SET country_id = country_id;
COMMIT;

DISCARD ALL;
"""
"""Rows, sequences and sessions: a reset puts them back, and no database is cloned anew."""

CLONED: Final = """
UPDATE kept.many SET name = name WHERE id = 7;

DELETE FROM kept.many WHERE id = 7;

INSERT INTO kept.many (name) VALUES ('new');
UPDATE kept.many SET name = 'changed' WHERE id = 7;

ALTER DATABASE :database SET work_mem = '8MB';

ALTER DATABASE :database SET search_path = kept, public;

ALTER DATABASE :database CONNECTION LIMIT 50;

ALTER DATABASE :database IS_TEMPLATE true;

ALTER ROLE CURRENT_USER IN DATABASE :database SET work_mem = '9MB';

ALTER ROLE ALL IN DATABASE :database SET work_mem = '9MB';

GRANT CREATE ON DATABASE :database TO PUBLIC;

GRANT CONNECT, TEMPORARY ON DATABASE :database TO pg_monitor WITH GRANT OPTION;

REVOKE TEMPORARY ON DATABASE :database FROM PUBLIC;

COMMENT ON DATABASE :database IS 'mine';

COMMENT ON DATABASE :database IS NULL;

COMMENT ON SCHEMA kept IS 'commented';

COMMENT ON TABLE users IS 'commented';

COMMENT ON COLUMN users.email IS 'commented';

COMMENT ON VIEW kept.city_names IS 'commented';

COMMENT ON MATERIALIZED VIEW kept.totals IS 'commented';

COMMENT ON INDEX kept.country_code_key IS 'commented';

COMMENT ON CONSTRAINT country_code_key ON kept.country IS 'commented';

COMMENT ON FUNCTION kept.double(int) IS 'commented';

COMMENT ON TRIGGER audits ON kept.audited IS 'commented';

COMMENT ON TYPE kept.mood IS 'commented';

COMMENT ON DOMAIN kept.positive IS 'commented';

COMMENT ON SEQUENCE kept.tickets IS 'commented';

COMMENT ON LARGE OBJECT 4711 IS 'commented';

COMMENT ON TABLE kept.country IS NULL;

SELECT lo_put(4711, 0, 'changed');

SELECT lo_put(4711, 100000, 'grown');

BEGIN;
SELECT lowrite(lo_open(4711, x'20000'::int), 'written');
COMMIT;

BEGIN;
SELECT lo_truncate(lo_open(4711, x'20000'::int), 2);
COMMIT;

SELECT lo_create(4712);

SELECT lo_from_bytea(0, 'another');

SELECT lo_unlink(4711);

SELECT lo_unlink(4711);
SELECT lo_from_bytea(4711, 'another');

GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;

CREATE COLLATION kept.plain FROM "C";

CREATE PUBLICATION news FOR TABLE kept.country;

CREATE PUBLICATION news;

CREATE OPERATOR kept.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);

CREATE CAST (kept.mood AS int) WITH FUNCTION kept.number_of(kept.mood);

CREATE CAST (int AS kept.pair) WITH INOUT;

CREATE CONVERSION kept.conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;

CREATE TEXT SEARCH CONFIGURATION kept.search (COPY = simple);

CREATE TEXT SEARCH DICTIONARY kept.words (TEMPLATE = simple);

ALTER TEXT SEARCH CONFIGURATION kept.own_search ADD MAPPING FOR word WITH simple;

ALTER TEXT SEARCH DICTIONARY kept.own_words (STOPWORDS = english);

ALTER DEFAULT PRIVILEGES IN SCHEMA kept GRANT SELECT ON TABLES TO PUBLIC;

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT SELECT ON users TO PUBLIC;

GRANT UPDATE (name) ON users TO PUBLIC;

REVOKE INSERT ON users FROM CURRENT_USER;

REVOKE ALL ON users FROM CURRENT_USER;

REVOKE ALL ON kept.country, kept.tickets FROM CURRENT_USER;

GRANT USAGE ON SCHEMA kept TO PUBLIC;

REVOKE USAGE ON SCHEMA kept FROM CURRENT_USER;

REVOKE EXECUTE ON FUNCTION kept.double(int) FROM PUBLIC;

GRANT USAGE ON SEQUENCE kept.tickets TO PUBLIC;

REVOKE USAGE ON TYPE kept.mood FROM PUBLIC;

CREATE TABLE made (id serial PRIMARY KEY, name text UNIQUE);

CREATE TABLE made AS TABLE kept.country;

CREATE UNLOGGED TABLE made (id int);

CREATE TABLE kept.reading_2026 PARTITION OF kept.reading
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

ALTER TABLE kept.reading ATTACH PARTITION kept.loose_reading
    FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');

ALTER TABLE kept.reading DETACH PARTITION kept.reading_2024;

DROP TABLE kept.reading_2024;

CREATE TABLE kept.plant (leaves int) INHERITS (kept.being);

ALTER TABLE kept.animal NO INHERIT kept.being;

ALTER TABLE users RENAME TO people;

ALTER TABLE users SET SCHEMA kept;

ALTER TABLE users ADD COLUMN nickname text;

ALTER TABLE users ADD COLUMN nickname text DEFAULT 'none';

ALTER TABLE users DROP COLUMN name;

ALTER TABLE users RENAME COLUMN name TO called;

ALTER TABLE users ALTER COLUMN name TYPE varchar(500);

ALTER TABLE users ALTER COLUMN name DROP NOT NULL;

ALTER TABLE users ALTER COLUMN name SET DEFAULT 'nobody';

ALTER TABLE users ALTER COLUMN name SET STATISTICS 500;

ALTER TABLE users ALTER COLUMN name SET STORAGE EXTERNAL;

ALTER TABLE users SET (fillfactor = 70);

ALTER TABLE kept.typed SET UNLOGGED;

ALTER TABLE users REPLICA IDENTITY FULL;

ALTER TABLE users ADD CONSTRAINT named CHECK (name <> '');

ALTER TABLE users DROP CONSTRAINT uq_users_email;

ALTER TABLE kept.city ALTER CONSTRAINT city_country_id_fkey DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE kept.country ALTER COLUMN id SET GENERATED BY DEFAULT;

ALTER TABLE kept.country ALTER COLUMN id SET INCREMENT BY 10;

ALTER TABLE kept.country ALTER COLUMN upper_code DROP EXPRESSION;

ALTER TABLE kept.audited DISABLE TRIGGER audits;

ALTER TABLE kept.audited DISABLE TRIGGER USER;

ALTER TABLE kept.country CLUSTER ON country_code_key;

DROP TABLE users CASCADE;

DROP TABLE kept.country CASCADE;

DROP TABLE kept.audit;

CREATE INDEX made ON users (lower(name));

CREATE INDEX CONCURRENTLY made ON users (name);

CREATE UNIQUE INDEX ON kept.city (name);

ALTER INDEX ix_logins_user_id RENAME TO renamed;

ALTER INDEX ix_logins_user_id SET (fillfactor = 50);

DROP INDEX ix_logins_user_id;

DROP INDEX CONCURRENTLY ix_logins_user_id;

CREATE VIEW made AS SELECT name FROM users;

CREATE OR REPLACE VIEW kept.city_names AS SELECT id, upper(name) AS name FROM kept.city;

ALTER VIEW kept.city_names SET (security_barrier = true);

ALTER VIEW kept.city_names ALTER COLUMN name SET DEFAULT 'Rome';

DROP VIEW kept.city_names;

CREATE MATERIALIZED VIEW made AS SELECT name FROM users;

REFRESH MATERIALIZED VIEW kept.later;

REFRESH MATERIALIZED VIEW kept.totals WITH NO DATA;

INSERT INTO kept.city (country_id, name) VALUES (1, 'Bonn');
REFRESH MATERIALIZED VIEW kept.totals;

DELETE FROM kept.city;
REFRESH MATERIALIZED VIEW CONCURRENTLY kept.totals;

DROP MATERIALIZED VIEW kept.totals;

CREATE TYPE made AS ENUM ('a', 'b');

CREATE TYPE made AS (a int, b text);

CREATE TYPE made AS RANGE (subtype = int);

ALTER TYPE kept.mood ADD VALUE 'angry';

ALTER TYPE kept.mood RENAME VALUE 'sad' TO 'unhappy';

ALTER TYPE kept.pair ADD ATTRIBUTE c int;

DROP TYPE kept.pair CASCADE;

CREATE DOMAIN made AS int CHECK (value > 0);

ALTER DOMAIN kept.positive ADD CHECK (value < 100);

ALTER DOMAIN kept.positive SET DEFAULT 1;

DROP DOMAIN kept.positive CASCADE;

CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1';

CREATE OR REPLACE FUNCTION kept.double(number int) RETURNS int LANGUAGE sql AS
    'SELECT 3 * number';

ALTER FUNCTION kept.double(int) COST 5;

ALTER FUNCTION kept.double(int) SET work_mem = '8MB';

DROP FUNCTION kept.double(int);

CREATE PROCEDURE made() LANGUAGE sql AS 'SELECT 1';

CREATE AGGREGATE made(int) (SFUNC = int4pl, STYPE = int);

CREATE TRIGGER made AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION kept.write_audit();

ALTER TRIGGER audits ON kept.audited RENAME TO renamed;

DROP TRIGGER audits ON kept.audited;

CREATE OR REPLACE FUNCTION kept.write_audit() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RETURN NULL; END';

CREATE RULE made AS ON DELETE TO users DO INSTEAD NOTHING;

CREATE RULE made AS ON INSERT TO kept.country DO ALSO DELETE FROM kept.city;

DROP RULE ignores ON kept.ruled;

CREATE POLICY made ON users USING (true);

ALTER TABLE users ENABLE ROW LEVEL SECURITY;

ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

ALTER POLICY everybody ON kept.ruled USING (false);

DROP POLICY everybody ON kept.ruled;

CREATE SEQUENCE made;

ALTER SEQUENCE kept.tickets INCREMENT BY 5 CACHE 10;

ALTER SEQUENCE kept.tickets MINVALUE -100 MAXVALUE 1000000 CYCLE;

ALTER SEQUENCE kept.tickets OWNED BY kept.city.id;

ALTER SEQUENCE kept.tickets AS int;

ALTER SEQUENCE kept.tickets RENAME TO renamed;

DROP SEQUENCE kept.tickets;

CREATE SCHEMA made;

CREATE SCHEMA made CREATE TABLE inner_one (id int);

ALTER SCHEMA kept RENAME TO renamed;

DROP SCHEMA kept CASCADE;

DROP SCHEMA public CASCADE;

CREATE STATISTICS made (dependencies) ON name, email FROM users;

ALTER STATISTICS kept.correlated SET STATISTICS 200;

DROP STATISTICS kept.correlated;

CREATE EXTENSION hstore;

CREATE EXTENSION citext SCHEMA kept;

BEGIN;
CREATE TABLE made (id int);
COMMIT;

DO $$ BEGIN CREATE TABLE made (id int); COMMIT; END $$;

SET search_path = kept;
ALTER TABLE city ADD COLUMN mayor text;

DELETE FROM kept.country;
ALTER TABLE users ADD COLUMN nickname text;
INSERT INTO users (email, name, nickname) VALUES ('ada@example.com', 'Ada', 'A');

CREATE TEMPORARY TABLE scratch (id int);
CREATE TABLE made (LIKE scratch);
"""
"""Rows of large tables, the schema, rights, comments, large objects: no reset undoes these."""

CLONED_OF_A_SUPERUSER: Final = """
ALTER DATABASE :database OWNER TO pg_monitor;

UPDATE pg_database SET datallowconn = false WHERE datname = current_database();

COMMENT ON EXTENSION plpgsql IS 'commented';

COMMENT ON FUNCTION pg_catalog.now() IS 'commented';

COMMENT ON LANGUAGE plpgsql IS NULL;

ALTER LARGE OBJECT 4711 OWNER TO pg_monitor;

ALTER TABLE users OWNER TO pg_monitor;

ALTER SCHEMA kept OWNER TO pg_monitor;

ALTER FUNCTION kept.double(int) OWNER TO pg_monitor;

CREATE PUBLICATION news FOR ALL TABLES;

CREATE OPERATOR FAMILY kept.family USING btree;

CREATE OPERATOR CLASS kept.class FOR TYPE int USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 btint4cmp(int, int);

ALTER OPERATOR FAMILY integer_ops USING btree
    ADD FUNCTION 1 (int, numeric) kept.compare(int, numeric);

CREATE CAST (text AS int) WITH INOUT AS ASSIGNMENT;

ALTER TEXT SEARCH CONFIGURATION pg_catalog.english ALTER MAPPING FOR word WITH simple;

ALTER TEXT SEARCH DICTIONARY pg_catalog.english_stem (StopWords = 'danish');

CREATE TEXT SEARCH PARSER kept.parser (
    START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);

CREATE TEXT SEARCH TEMPLATE kept.template (LEXIZE = dsimple_lexize);

CREATE EVENT TRIGGER made ON ddl_command_end EXECUTE FUNCTION kept.notice_event();

CREATE FOREIGN DATA WRAPPER elsewhere;

CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;

CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
CREATE USER MAPPING FOR PUBLIC SERVER far;

CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE made (id int) SERVER far;

ALTER SERVER kept_far OPTIONS (ADD host 'elsewhere');

CREATE USER MAPPING FOR CURRENT_USER SERVER kept_far OPTIONS (a 'b');

CREATE LANGUAGE made HANDLER plpgsql_call_handler;

CREATE ACCESS METHOD made TYPE INDEX HANDLER bthandler;

CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));

CREATE TYPE kept.shell;

REVOKE EXECUTE ON FUNCTION pg_catalog.now() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO PUBLIC;

REVOKE SELECT ON pg_catalog.pg_tables FROM PUBLIC;

GRANT SELECT ON pg_catalog.pg_statistic TO PUBLIC;

REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;

ALTER FUNCTION pg_catalog.now() COST 5;

ALTER FUNCTION pg_catalog.lower(text) VOLATILE;

ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor GRANT SELECT ON TABLES TO PUBLIC;

UPDATE pg_proc SET procost = 7 WHERE proname = 'now';

UPDATE pg_class SET relhastriggers = true WHERE relname = 'stamped_pkey';

INSERT INTO pg_description
    VALUES ('kept.city'::regclass, 'pg_class'::regclass, 0, 'forged');

UPDATE pg_largeobject SET data = 'forged' WHERE loid = 4711;

DROP EXTENSION plpgsql CASCADE;

CREATE EXTENSION pageinspect;

SET session_replication_role = replica;
ALTER TABLE users ADD COLUMN nickname text;
"""
"""The same, for a role that may do anything."""

EITHER: Final = """
CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1';

UPDATE kept.audited SET name = upper(name);

DELETE FROM kept.audited;

INSERT INTO kept.audited (name) VALUES ('new');

TRUNCATE kept.audited;

INSERT INTO kept.audit (what) VALUES ('forged');

INSERT INTO kept.wiping VALUES (3);

UPDATE kept.wiping SET id = id + 10;

UPDATE kept.stamped SET name = upper(name);

INSERT INTO kept.stamped VALUES (7, 'seven');

DELETE FROM kept.stamped;

TRUNCATE kept.stamped;

INSERT INTO kept.ruled VALUES (2, 'two');

UPDATE kept.ruled SET name = 'changed';

DELETE FROM kept.no_columns;

INSERT INTO kept.no_columns DEFAULT VALUES;

INSERT INTO kept.no_columns DEFAULT VALUES;
DELETE FROM kept.no_columns
    WHERE ctid = (SELECT min(ctid) FROM kept.no_columns);

INSERT INTO kept.only_generated DEFAULT VALUES;

DELETE FROM kept.only_generated;

TRUNCATE kept.only_generated, kept.no_columns;

ALTER SEQUENCE kept.tickets RESTART;

ALTER SEQUENCE kept.tickets RESTART WITH 500;

ALTER SEQUENCE users_id_seq RESTART WITH 500;

ALTER TABLE kept.country ALTER COLUMN id RESTART WITH 500;

REFRESH MATERIALIZED VIEW kept.totals;

REFRESH MATERIALIZED VIEW CONCURRENTLY kept.totals;

REFRESH MATERIALIZED VIEW kept.later;
REFRESH MATERIALIZED VIEW kept.later WITH NO DATA;

CREATE TABLE made (id serial PRIMARY KEY);
DROP TABLE made;

CREATE SCHEMA made;
DROP SCHEMA made;

CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1';
DROP FUNCTION made();

ALTER TABLE users ADD COLUMN nickname text;
ALTER TABLE users DROP COLUMN nickname;

ALTER TABLE users RENAME COLUMN name TO called;
ALTER TABLE users RENAME COLUMN called TO name;

ALTER TABLE users ALTER COLUMN name DROP NOT NULL;
ALTER TABLE users ALTER COLUMN name SET NOT NULL;

COMMENT ON TABLE users IS 'commented';
COMMENT ON TABLE users IS NULL;

GRANT SELECT ON users TO PUBLIC;
REVOKE SELECT ON users FROM PUBLIC;

ALTER DATABASE :database SET work_mem = '8MB';
ALTER DATABASE :database RESET work_mem;

SELECT lo_create(4712);
SELECT lo_unlink(4712);

SELECT lo_put(4711, 0, 'a large');

BEGIN;
CREATE TABLE made (id int);
ROLLBACK;

BEGIN;
ALTER TABLE kept.country ADD COLUMN capital text;
DROP TABLE users CASCADE;
ROLLBACK;

BEGIN;
SELECT lo_put(4711, 0, 'changed');
ROLLBACK;

BEGIN;
SAVEPOINT before_it;
DROP SCHEMA kept CASCADE;
ROLLBACK TO before_it;
COMMIT;

BEGIN;
COMMENT ON TABLE users IS 'commented';
ROLLBACK;

DROP TABLE kept.country CASCADE;
CREATE TABLE kept.country (id int);

VACUUM;

VACUUM FULL kept.country;

VACUUM FULL users;

DELETE FROM kept.country;
VACUUM FULL kept.country;

VACUUM (FREEZE) kept.country;

INSERT INTO kept.country (code) VALUES ('fr');
VACUUM (FREEZE, ANALYZE) kept.country;

CLUSTER kept.country USING country_code_key;

REINDEX TABLE kept.country;

REINDEX TABLE CONCURRENTLY kept.country;

REINDEX SCHEMA kept;

ANALYZE;

ANALYZE kept.country;

DELETE FROM kept.city;
ANALYZE kept.city;

TRUNCATE kept.city;
ALTER TABLE kept.city ADD COLUMN mayor text;

TRUNCATE kept.cache;
INSERT INTO kept.cache VALUES ('key', 'value');
TRUNCATE kept.cache;
"""
"""The reset may restore these or not: what they leave is nothing, or its triggers refuse."""

EITHER_OF_A_SUPERUSER: Final = """
SELECT pg_stat_reset();

DELETE FROM kept.country;
SELECT pg_stat_reset();

INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');
SELECT pg_stat_reset();

UPDATE kept.country SET price = 0;
SELECT pg_stat_reset_single_table_counters('kept.country'::regclass);

COMMENT ON TABLE users IS 'commented';
SELECT pg_stat_reset();

ALTER TABLE users ADD COLUMN nickname text;
SELECT pg_stat_reset_single_table_counters('pg_attribute'::regclass),
    pg_stat_reset_single_table_counters('pg_class'::regclass);

SET session_replication_role = replica;
DELETE FROM kept.country;

SET session_replication_role = replica;
DELETE FROM kept.audited;

SET session_replication_role = replica;
UPDATE kept.stamped SET name = 'changed';

ALTER DATABASE :database SET track_counts = off;

ALTER DATABASE :database SET default_transaction_read_only = on;

ALTER DATABASE :database SET session_replication_role = replica;

SET ROLE pg_monitor;

SELECT pg_terminate_backend(pg_backend_pid());
"""
"""The same, for a role that may do anything; some would hide what was changed."""

UNDER_FORCED_POLICIES: Final = """
SET app.tenant = 'a';
INSERT INTO kept.guarded VALUES (5, 'a');

SET app.tenant = 'a';
DELETE FROM kept.guarded;

SET app.tenant = 'a';
UPDATE kept.guarded SET id = id + 10;

SET app.tenant = 'new';
INSERT INTO kept.guarded_and_empty VALUES (1, 'new');

TRUNCATE kept.guarded;

TRUNCATE kept.guarded_and_empty;

SET app.tenant = 'new';
INSERT INTO kept.guarded_and_empty VALUES (1, 'new');
TRUNCATE kept.guarded_and_empty;

INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada');

ALTER TABLE kept.guarded NO FORCE ROW LEVEL SECURITY;

ALTER TABLE kept.guarded DISABLE ROW LEVEL SECURITY;
DELETE FROM kept.guarded;
ALTER TABLE kept.guarded ENABLE ROW LEVEL SECURITY;

DELETE FROM kept.guarded;
"""
"""In tables whose policies bind their owner too, who then neither sees nor deletes the rows."""

SEEDS: Final = """
CREATE SCHEMA kept;
COMMENT ON SCHEMA kept IS 'seeds';

CREATE TABLE kept.country (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    upper_code text GENERATED ALWAYS AS (upper(code)) STORED,
    price numeric DEFAULT 1
);
COMMENT ON TABLE kept.country IS 'where cities are';
INSERT INTO kept.country (code) VALUES ('de'), ('it'), ('es');
CREATE TABLE kept.city (
    id serial PRIMARY KEY,
    country_id int NOT NULL REFERENCES kept.country ON DELETE CASCADE,
    name text
);
INSERT INTO kept.city (country_id, name) VALUES (1, 'Berlin'), (2, 'Rome'), (3, NULL);
CREATE STATISTICS kept.correlated ON country_id, name FROM kept.city;
CREATE VIEW kept.city_names AS SELECT id, name FROM kept.city;
CREATE MATERIALIZED VIEW kept.totals AS
    SELECT country_id, count(*) FROM kept.city GROUP BY country_id;
CREATE UNIQUE INDEX ON kept.totals (country_id);
CREATE MATERIALIZED VIEW kept.later AS SELECT count(*) FROM kept.country WITH NO DATA;

CREATE TABLE kept.reading (taken date NOT NULL, value float) PARTITION BY RANGE (taken);
CREATE TABLE kept.reading_2024 PARTITION OF kept.reading
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE kept.reading_2025 PARTITION OF kept.reading
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE kept.reading_other PARTITION OF kept.reading DEFAULT;
CREATE TABLE kept.loose_reading (taken date NOT NULL, value float);
INSERT INTO kept.reading VALUES ('2024-02-29', 1), ('2025-01-01', 2), ('1970-01-01', 3);
CREATE TABLE kept.being (name text);
CREATE TABLE kept.animal (legs int) INHERITS (kept.being);
INSERT INTO kept.being VALUES ('moss');
INSERT INTO kept.animal VALUES ('cat', 4);

CREATE TYPE kept.mood AS ENUM ('happy', 'sad');
CREATE TYPE kept.pair AS (a int, b int);
CREATE DOMAIN kept.positive AS int CHECK (value > 0);
CREATE TABLE kept.typed (
    mood kept.mood, tags text[], span int4range, document jsonb, note text, number kept.positive
);
INSERT INTO kept.typed VALUES ('sad', '{}', 'empty', 'null', '', 1);
CREATE TABLE kept.self_referring (id int PRIMARY KEY, parent int REFERENCES kept.self_referring);
INSERT INTO kept.self_referring VALUES (1, 1), (2, 3), (3, 2);
CREATE UNLOGGED TABLE kept.cache (key text, value text);

CREATE TABLE kept.no_columns ();
INSERT INTO kept.no_columns DEFAULT VALUES;
INSERT INTO kept.no_columns DEFAULT VALUES;
CREATE TABLE kept.only_generated (one int GENERATED ALWAYS AS (1) STORED);
INSERT INTO kept.only_generated DEFAULT VALUES;

CREATE TABLE kept.audited (id serial PRIMARY KEY, name text);
CREATE TABLE kept.audit (id bigserial PRIMARY KEY, what text);
CREATE FUNCTION kept.write_audit() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO kept.audit (what) VALUES (tg_op); RETURN NULL; END';
CREATE TRIGGER audits AFTER INSERT OR UPDATE OR DELETE ON kept.audited
    FOR EACH ROW EXECUTE FUNCTION kept.write_audit();
INSERT INTO kept.audited (name) VALUES ('one'), ('two');
CREATE TABLE kept.stamped (
    id int PRIMARY KEY, name text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION kept.stamp() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN new.updated_at = clock_timestamp(); RETURN new; END';
CREATE TRIGGER stamps BEFORE INSERT OR UPDATE ON kept.stamped
    FOR EACH ROW EXECUTE FUNCTION kept.stamp();
INSERT INTO kept.stamped (id, name) VALUES (1, 'one'), (2, 'two');
CREATE TABLE kept.many (id serial PRIMARY KEY, name text);
INSERT INTO kept.many (name) SELECT 'name ' || n FROM generate_series(1, 1200) n;
CREATE TABLE kept.wiping (id int PRIMARY KEY);
CREATE TABLE kept.wiped (id int PRIMARY KEY);
CREATE FUNCTION kept.wipe() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN DELETE FROM kept.wiped; RETURN NULL; END';
CREATE TRIGGER wipes AFTER DELETE ON kept.wiping
    FOR EACH ROW EXECUTE FUNCTION kept.wipe();
INSERT INTO kept.wiping VALUES (1), (2);
INSERT INTO kept.wiped VALUES (1), (2);
CREATE TABLE kept.ruled (id int, name text);
CREATE RULE ignores AS ON DELETE TO kept.ruled DO INSTEAD NOTHING;
CREATE POLICY everybody ON kept.ruled USING (true);
INSERT INTO kept.ruled VALUES (1, 'one');

SELECT lo_from_bytea(4711, 'a large object');
CREATE SEQUENCE kept.tickets START 100;
CREATE SEQUENCE kept.invoices;
SELECT nextval('kept.invoices');

CREATE FUNCTION kept.double(number int) RETURNS int LANGUAGE sql AS 'SELECT 2 * number';
CREATE FUNCTION kept.number_of(mood kept.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION kept.compare(int, numeric) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION kept.notice_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE TEXT SEARCH CONFIGURATION kept.own_search (PARSER = default);
CREATE TEXT SEARCH DICTIONARY kept.own_words (TEMPLATE = simple);
"""
"""What a migration makes, in a schema that Alembic does not compare with the models."""

SEEDS_OF_A_SUPERUSER: Final = """
CREATE FOREIGN DATA WRAPPER kept_wrapper;
CREATE SERVER kept_far FOREIGN DATA WRAPPER kept_wrapper;
"""

SEEDS_UNDER_FORCED_POLICIES: Final = """
CREATE TABLE kept.guarded (id int PRIMARY KEY, tenant text);
INSERT INTO kept.guarded VALUES (1, 'a'), (2, 'b');
CREATE TABLE kept.guarded_and_empty (id int PRIMARY KEY, tenant text);
CREATE POLICY own ON kept.guarded USING (tenant = current_setting('app.tenant', true));
CREATE POLICY own ON kept.guarded_and_empty USING (tenant = current_setting('app.tenant', true));
ALTER TABLE kept.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE kept.guarded_and_empty ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
"""

MIGRATION: Final = '''
"""Seeds of all kinds."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade():
    op.get_bind().exec_driver_sql({seeds!r})


def downgrade():
    raise NotImplementedError
'''

JUDGE: Final = r'''
"""Run each script in a test of its own, and look at what the next test finds."""

import difflib
import json
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

GIVEN = json.loads(Path(__file__).with_name("given.json").read_text())
SCRIPTS = GIVEN["scripts"]
VERDICT = Path(__file__).with_name("verdict.json")
VIEWS = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' AND relispopulated ORDER BY 1"
OID = "SELECT oid FROM pg_database WHERE datname = current_database()"
NOISE = re.compile(r'"created":"[^"]*"|"pid":\d+|^\\(un)?restrict .*', re.MULTILINE)
ROWS = re.compile(r"^(COPY [^\n]*;\n)(.*?)(?=^\\\.$)", re.MULTILINE | re.DOTALL)
verdict = {"cloned": [], "leaks": {}}
seen = {}


def connect(url):
    options = {**url.translate_connect_args(database="dbname", username="user"), **url.query}
    return psycopg.connect(**options, autocommit=True)


def found(connection):
    """Give all that pg_dump knows of the database, and what the materialized views hold."""
    info = connection.info
    host, port = info.get_parameters()["host"], str(info.port)
    login = GIVEN["login"] or {"user": info.user, "password": ""}
    address = ["--host", host, "--port", port, "--username", login["user"]]
    dump = subprocess.run(
        [GIVEN["pg_dump"], "--create", *address, info.dbname],
        env={"PGPASSWORD": login["password"]},
        capture_output=True,
        text=True,
        check=False,  # a database that cannot be dumped is not as it was either
    )
    text = (dump.stdout + dump.stderr).replace(info.dbname, ":database")
    lines = ROWS.sub(in_order, NOISE.sub("", text)).splitlines()
    for (view,) in connection.execute(VIEWS).fetchall():
        lines.append(f"{view}: {sorted(connection.execute(f'TABLE {view}').fetchall())}")
    return lines


def in_order(table):
    """Sort the rows of a table: in which order it holds them means nothing."""
    return table[1] + "".join(sorted(table[2].splitlines(keepends=True)))


def run(connection, script):
    """Run statements; what follows one that fails in a combination is run all the same."""
    for statement in re.split(r";\n+", script):
        with suppress(*[psycopg.Error] * GIVEN["may_fail"]):
            statement = statement.removesuffix(";").replace(":database", connection.info.dbname)
            if "FROM STDIN" in statement:
                with connection.cursor().copy(statement) as copy:
                    copy.write("ada@example.com\tAda\n")
            else:
                connection.execute(statement)


def judge(connection, script):
    """Compare what a script left with the fresh database; one that was cloned anew is fresh."""
    oid = connection.execute(OID).fetchone()
    if not seen:
        seen["fresh"] = seen["last"] = found(connection)
    elif oid != seen["oid"]:
        verdict["cloned"].append(script)
        seen["last"] = seen["fresh"]
    if seen.get("oid") == oid or script == len(SCRIPTS) - 1:
        now = found(connection)
        if now not in (seen["fresh"], seen["last"]):
            lines = difflib.unified_diff(seen["last"], now, n=0, lineterm="")
            verdict["leaks"][script] = list(lines)[2:]
        seen["last"] = now
    seen["oid"] = oid


@pytest.mark.parametrize("number", range(len(SCRIPTS) + 1))
def test_script(databases, number):
    with suppress(psycopg.errors.AdminShutdown), connect(databases.urls["main"]) as connection:
        judge(connection, number - 1)
        VERDICT.write_text(json.dumps(verdict))
        if number < len(SCRIPTS):
            run(connection, SCRIPTS[number])
'''
PG_DUMP: Final = "pginstall/bin/pg_dump"


def scripts_of(*groups: str) -> list[str]:
    """List what tests run, one test each."""
    return [script for group in groups for script in group.strip().split("\n\n")]


def combinations(scripts: list[str], number: int) -> list[str]:
    """Draw some of 2 to 4 scripts; the same ones whenever it is asked."""
    dice = Random(number)  # noqa: S311
    return ["\n".join(dice.sample(scripts, dice.randint(2, 4))) for _ in range(number)]


@dataclass(frozen=True)
class Verdict:
    """What became of the databases of tests, by the scripts that those ran."""

    leaks: dict[str, str]
    """The next test found the same database in another state: this is the difference."""
    cloned: list[str]
    """The next test found another database."""

    def expect(self, restored: Sequence[str] = (), cloned: Sequence[str] = ()) -> None:
        """Fail if there are leaks; and if what a reset restores was cloned, or the reverse."""
        __tracebackhide__ = True
        leaks = [f"{script}\n\n{difference}" for script, difference in self.leaks.items()]
        assert not leaks, f"{len(leaks)} leave a trace:\n\n" + "\n\n".join(leaks)
        needlessly = [script for script in restored if script in self.cloned]
        assert not needlessly, "cloned anew for nothing:\n\n" + "\n\n".join(needlessly)
        unnoticed = [script for script in cloned if script not in self.cloned]
        assert not unnoticed, "not noticed:\n\n" + "\n\n".join(unnoticed)


@dataclass(frozen=True)
class Judge:
    """A project with seeds of all kinds, and who looks at its databases."""

    project: Project
    pg_dump: Path
    login: dict[str, str] | None = None
    """A role that sees all, where that of the tests does not."""

    def __call__(self, scripts: list[str], *, may_fail: bool = False) -> Verdict:
        """Run scripts, each in a test of its own, one after the other."""
        given = {"pg_dump": str(self.pg_dump), "login": self.login}
        given |= {"scripts": scripts, "may_fail": may_fail}
        self.project.write("tests/integration/given.json", json.dumps(given))
        done = self.project.run(
            "pytest", "-p", "no:randomly", write(self.project, JUDGE), "--timeout", "600"
        )
        done.expect(f"{len(scripts) + 1} passed")
        counts = audit(done)
        assert counts["created"] == counts["dropped"]
        assert counts["left"] == counts["kept"] == 0
        verdict = json.loads((self.project / "tests/integration/verdict.json").read_text())
        leaks = {scripts[int(n)]: "\n".join(diff) for n, diff in verdict["leaks"].items()}
        return Verdict(leaks, [scripts[number] for number in verdict["cloned"]])


def seeded(project: Project, *seeds: str) -> Project:
    """Give a project one more migration."""
    (migrations,) = project.path.glob("src/*/migrations/main")
    text = MIGRATION.format(seeds="".join(seeds))
    project.write(str(migrations.relative_to(project.path) / "0004_seeds.py"), text)
    return project


@pytest.fixture
def superuser(embedded_project: Project) -> Judge:
    """Judge what a superuser's tests leave on the embedded server."""
    project = seeded(embedded_project, SEEDS, SEEDS_OF_A_SUPERUSER)
    return Judge(project, project.environment.postgresql() / PG_DUMP)


@pytest.fixture
def developer(project: Project) -> Judge:
    """Judge what the tests of a role that is no superuser leave on an external server."""
    login = {"user": ADMINISTRATOR, "password": ADMINISTRATOR_PASSWORD}
    programs = installed_programs()
    pg_dump = programs / "pg_dump" if programs else project.environment.postgresql() / PG_DUMP
    return Judge(seeded(project, SEEDS, SEEDS_UNDER_FORCED_POLICIES), pg_dump, login)


half, all_of_them = pytest.param(0, 2, id="half"), pytest.param(0, 1, id="all", marks=long)
other_half, all_there = pytest.param(1, 2, id="half"), pytest.param(0, 1, id="all", marks=long)


@pytest.mark.parametrize(("first", "step"), [half, all_of_them])
def test_a_superuser_leaves_nothing_behind(superuser: Judge, first: int, step: int) -> None:
    """By default each statement runs on one of the two servers, in the long form on both."""
    restored = scripts_of(RESTORED)[first::step]
    cloned = scripts_of(CLONED)[first::step] + scripts_of(CLONED_OF_A_SUPERUSER)
    either = scripts_of(EITHER)[first::step] + scripts_of(EITHER_OF_A_SUPERUSER)
    superuser(restored + cloned + either).expect(restored, cloned)


@pytest.mark.parametrize(("first", "step"), [other_half, all_there])
def test_a_role_that_is_no_superuser_leaves_nothing_behind(
    developer: Judge, first: int, step: int
) -> None:
    restored = scripts_of(RESTORED)[first::step]
    cloned = scripts_of(CLONED)[first::step]
    either = scripts_of(EITHER)[first::step]
    guarded = scripts_of(UNDER_FORCED_POLICIES)
    developer(restored + cloned + either + guarded).expect(restored, cloned)


@pytest.mark.parametrize("number", [15, pytest.param(400, marks=long)])
def test_statements_of_a_superuser_in_one_test_leave_nothing_behind(
    superuser: Judge, number: int
) -> None:
    groups = (RESTORED, CLONED, CLONED_OF_A_SUPERUSER, EITHER, EITHER_OF_A_SUPERUSER)
    superuser(combinations(scripts_of(*groups), number), may_fail=True).expect()
    only_restored = combinations(scripts_of(RESTORED), number)
    superuser(only_restored, may_fail=True).expect(only_restored)


@long
def test_statements_of_other_roles_in_one_test_leave_nothing_behind(developer: Judge) -> None:
    scripts = scripts_of(RESTORED, CLONED, EITHER, UNDER_FORCED_POLICIES)
    developer(combinations(scripts, 400), may_fail=True).expect()
