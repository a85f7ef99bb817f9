"""The embedded server: PostgreSQL's programs from a wheel, one server for a checkout and a user.

`server.use` starts it if need be, the supervisor ends it when its last user has gone, and alone.py
holds what nobody else may be using it for: to purge it, and to have it listen on a port.

Locks of the kernel tell who is there; they vanish with their holders, kill -9 included:

users.lock       every process that uses the server holds it shared; the supervisor and alone.py
                 take it exclusively, and get it when the last user has gone
server.lock      held by the supervisor, the postmaster and its backends (they inherit it): whoever
                 gets it knows that nothing runs on the data directory
supervisor.lock  held by the supervisor alone; its pid stands in it, and is right while it is held
start.lock       held by the process that starts the server, so that it starts once
"""
