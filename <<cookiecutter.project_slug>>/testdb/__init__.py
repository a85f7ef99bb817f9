"""Disposable databases for tests, examples and tasks. Each module imports only those above it.

errors      what a person is told when something is refused or out of reach
project     which project and which checkout this is
names       how the name of a disposable database is spelled and read
ownership   the marker, and THE RULE: what may be dropped
guard       what may be connected to
leases      who is alive
catalog     what is on the server
embedded    the PostgreSQL from the wheel: where it lives, how it starts and stops
keeper      the process that ends the embedded server when its last user has gone
server      which server: the embedded one, or the one that TESTDB_SERVER_URL names
lifecycle   create and drop a database
sweeping    drop what dead runs left
link        the one link to the service: logical databases, migrations, application
templates   migrate once, clone many
runs        one pytest invocation or one example, from its first database to its last
migration_check  do migrations and models agree?
kept        databases that a person keeps
reset       put a database back to what its template held
isolation   how a test is isolated from the others
sessions    sessions of tests; under rollback they share one connection
child       child processes that end with their parent
serve       the service as such a child, from its inside
service     the service as such a child, from the outside
examples    find and run the examples
plugin      the pytest side: options, the run, the report header, the audit
"""

from testdb import guard as guard  # the door is shut before anything else is imported
