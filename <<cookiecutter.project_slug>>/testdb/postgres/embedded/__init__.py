"""The embedded server: PostgreSQL's programs from a wheel, one server for a checkout and a user.

server.py      starts it if need be, and stops it
supervisor.py  the process that starts it, and ends it when its last user has gone
home.py        where it lives, and whom it runs as
listen.py      has it listen on a TCP port for a while
purge.py       deletes it

Locks of the kernel tell who is there; they vanish with their holders, kill -9 included:

users.lock       every process that uses the server holds it shared; the supervisor, and whoever
                 needs the server alone, take it exclusively: when the last user has gone
server.lock      held by the supervisor, the postmaster and its backends (they inherit it): whoever
                 gets it knows that nothing runs on the data directory
supervisor.lock  held by the supervisor alone; its pid stands in it, and is right while it is held
start.lock       held by the process that starts the server, so that it starts once
"""
