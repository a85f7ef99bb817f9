"""All that only PostgreSQL understands: its SQL, its catalogs, its locks and its programs.

What other rooms use, and what another engine would offer in a room beside this one:

environment              libpq's variables count only where they authenticate us
guard                    refuses connections to whatever is not disposable
server_url               what TESTDB_SERVER_URL may say, and where its password goes
server.open_server       the server, and connections to it; `embedded.server.stop` ends our own
leases.Lease             shows that a run lives; `try_exclusively` is proof that it is dead
catalog                  what is on the server: databases, their markers, sessions
databases                the only place that creates and drops; also keeps, and ends sessions
templates.ensure, clone  migrate once, clone many
reset.Resetter           put a database back to what it held; `contents` says what that is
sessions                 clean and end the sessions of tests
psql                     for people
waiting.wait_until       asks until something has happened, or for so long

Start with databases.py. Other rooms pass a `Connection` on, and send no SQL over it.
"""

from psycopg import Connection as Connection
from psycopg import Error as Error
