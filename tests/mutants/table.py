"""The mutants: small faults to plant in a baked project, each with the test that must go red.

They stand under the guarantee of the README that they break. One that no test notices is a defect.
"""

from dataclasses import dataclass
from typing import Final

NOTHING_REAL: Final = "faults/test_nothing_real_is_dropped.py"
RUNS_AND_SWEEPS: Final = "faults/test_runs_and_sweeps_do_not_meet.py"
KILLED: Final = "faults/test_killed_runs_leave_nothing.py"
EMBEDDED: Final = "faults/test_the_embedded_server_ends_with_its_users.py"
ANYWHERE: Final = "faults/test_the_embedded_server_starts_anywhere.py"
OTHERS: Final = "faults/test_other_users_of_the_machine_get_nowhere.py"
DIES: Final = "faults/test_a_server_that_dies_ends_the_run_with_one_message.py"
UNFIT: Final = "faults/test_an_unfit_server_is_refused_once.py"
TEMPLATE: Final = "faults/test_a_template_is_built_once_and_whole.py"

LOOK_ALIKES: Final = f"{NOTHING_REAL}::test_every_look_alike_survives"
LIVING: Final = f"{RUNS_AND_SWEEPS}::test_what_a_living_run_has_is_neither_swept_nor_dropped"
EIGHT: Final = f"{RUNS_AND_SWEEPS}::test_eight_runs_beside_endless_sweeps"
KEPT: Final = f"{EMBEDDED}::test_it_stays_for_a_kept_database_until_that_is_dropped"
BUILDER_DIES: Final = f"{TEMPLATE}::test_the_builder_dies_and_eight_wait"
UNCHANGED: Final = "test_migrations.py::test_unchanged_migrations_never_run_again"
MODELS: Final = (
    "test_migrations.py"
    "::test_models_that_disagree_with_migrations_are_told_once_before_the_first_test"
)
SERVICE: Final = "src/<<cookiecutter.package_name>>"
PRE_GEN: Final = "../hooks/pre_gen_project.py"
POST_GEN: Final = "../hooks/post_gen_project.py"
ANSWER: Final = "test_hooks.py::test_a_wrong_answer_is_refused_by_name"
LOCK_FITS: Final = "test_lock.py::test_it_fits_whatever_is_chosen"
SOUND: Final = "test_ci.py::test_the_workflows_of_a_project_are_sound"
IMAGE: Final = "test_container.py::test_the_image_is_made_in_two_stages_of_one_slim_python"
HAS_ALL: Final = "test_adopt.py::test_a_foreign_project_has_what_a_generated_one_has"
FOLLOWS: Final = "test_cruft.py::test_a_project_follows_its_template_from_the_release_on"
REFUSAL: Final = "test_mistakes_are_one_message.py::test_a_refusal_shows_the_line_that_asked"
ONE_LINE: Final = "test_deployment.py::test_a_mistake_in_the_settings_is_one_line"
GOES_AND_COMES: Final = (
    "test_deployment.py::test_health_tells_of_a_database_that_goes_and_comes_back"
)
SEEDS: Final = "test_shared_seeds.py::test_each_test_finds_the_seeds_of_its_module_and_of_all"
TOGETHER: Final = (
    "test_database_tasks.py::test_the_databases_of_a_run_are_dropped_together_or_not_at_all"
)
WRONG_MIGRATION: Final = "test_mistakes_in_migrations.py::test_a_wrong_migration_is_one_message"
MIGRATIONS: Final = f"{SERVICE}/migrations"
CONSTRAINTS: Final = (
    "test_writing_migrations.py::test_checks_exclusions_and_predicates_go_from_model_to_migration"
)
ENUM: Final = "test_writing_migrations.py::test_a_feature_with_an_enum_goes_from_model_to_migration"
MISSING: Final = (
    "test_mistakes_are_one_message.py"
    "::test_a_setting_that_is_missing_is_told_before_any_test_and_where_a_program_starts"
)
PARTS: Final = "test_recipes.py::test_a_setting_of_several_parts_is_spelled_as_in_the_environment"
DEPLOYMENTS: Final = "test_writing_migrations.py::test_deployments_migrate_one_after_the_other"
TWO_WORKERS: Final = (
    "test_parallel_runs.py"
    "::test_two_workers_commit_the_same_email_at_the_same_time_and_db_list_shows_both"
)
NEVER_MEET: Final = "test_isolation.py::test_tests_of_both_ways_never_meet"
LOOPS: Final = "test_event_loops.py::test_many_async_tests_share_no_loop_and_leak_no_connection"
REFUSED: Final = (
    "test_guard.py::test_an_engine_for_a_real_database_is_refused_before_the_first_byte"
)
HANGS: Final = (
    "test_what_a_test_leaves_running.py::test_who_hangs_is_shown_where_and_leaves_nothing_running"
)
MISBEHAVES: Final = (
    "test_misbehaving_tests.py::test_a_test_that_misbehaves_is_named_and_the_others_pass"
)
BAD_EXAMPLES: Final = "test_examples.py::test_e2e_goes_red_for_each_bad_example_and_no_other"
PAST_THE_ROOMS: Final = "test_bake.py::test_an_import_past_the_rooms_breaks_a_contract"
ELSEWHERE: Final = "test_nothing_leads_elsewhere.py"
PASSWORDS: Final = "test_no_report_shows_a_password.py::test_tests_that_fail_to_connect"
ACCOUNTED: Final = "test_tests_that_reach_the_server.py"
INTERRUPTED: Final = "faults/test_an_interruption_in_the_middle.py"
STALLS: Final = "faults/test_a_network_that_stalls.py"
STRANGERS: Final = "faults/test_other_databases_cost_nothing.py"
RESTORES: Final = "test_a_reset_restores_all.py"
NOTHING_OVER: Final = (
    "test_sessions_carry_nothing_over.py::test_what_a_session_was_told_goes_with_its_test"
)
ONE_EMAIL: Final = "test_e2e_is_isolated.py::test_two_tests_with_one_email_never_collide"
TRUNCATES: Final = (
    "test_resets_and_clones.py::test_truncate_costs_no_clone_and_commits_wait_for_no_disk"
)
LINTED: Final = "test_bake.py::test_it_is_formatted_and_linted_as_generated"


@dataclass(frozen=True)
class Mutant:
    """A fault: a text of one file of the template, and what stands there instead."""

    fault: str
    file: str
    old: str
    new: str
    test: str
    """Must go red: file and function, in tests/."""


MUTANTS: Final = {
    "One manager makes and drops every database, and only what it made itself can be dropped": (
        Mutant(
            "whoever likes makes a Disposable",
            "testdb/identity/disposable.py",
            "if self.proof is not _PROOF:",
            "if False:",
            f"{NOTHING_REAL}::test_nobody_gets_around_the_rule",
        ),
        Mutant(
            "the rule without the marker",
            "testdb/identity/disposable.py",
            "if marker.project != PROJECT or name not in marker.names():",
            "if False:",
            LOOK_ALIKES,
        ),
        Mutant(
            "the rule without check digits",
            "testdb/identity/names.py",
            "return name if str(name) == text else None",
            "return name",
            LOOK_ALIKES,
        ),
        Mutant(
            "another module drops a database too",
            "testdb/runs/run.py",
            "        databases.drop(self.connection, entry.proven, end_sessions=True)",
            "        self.connection.execute(f'DROP DATABASE \"{entry.name}\"'.encode())",
            "test_bake.py::test_one_module_alone_makes_and_drops_databases",
        ),
    ),
    "Look-alikes survive: other markers, copied markers, other case, quotes, `%`, `_`, "
    "`postgres`": (
        Mutant(
            "names are the same in capitals",
            "testdb/identity/names.py",
            "    match = _NAME.fullmatch(text)",
            "    text = text.lower()\n    match = _NAME.fullmatch(text)",
            LOOK_ALIKES,
        ),
        Mutant(
            "any comment is as good as none",
            "testdb/identity/disposable.py",
            'raise NotDisposableError(database, "its comment is not a marker") from None',
            "return Disposable(name, None, _PROOF)",
            LOOK_ALIKES,
        ),
        Mutant(
            "a marker of another kind counts",
            "testdb/identity/disposable.py",
            'extra="forbid"',
            'extra="ignore"',
            LOOK_ALIKES,
        ),
        Mutant(
            "another project's marker counts",
            "testdb/identity/disposable.py",
            "if marker.project != PROJECT or name",
            "if name",
            LOOK_ALIKES,
        ),
    ),
    "What a living run has is neither swept nor dropped: only a lock proves death, no clock": (
        Mutant(
            "sweep takes no lock",
            "testdb/runs/sweep.py",
            "{owner for owner in owners if leases.try_exclusively(connection, owner)}",
            "set(owners)",
            f"{RUNS_AND_SWEEPS}::test_a_run_that_is_being_swept_does_not_come_alive",
        ),
        Mutant(
            "processes of a run hold no lease",
            "testdb/postgres/leases.py",
            "            _take_shared(connection, self._run)\n",
            "            pass\n",
            LIVING,
        ),
        Mutant(
            "db.drop asks nobody",
            "testdb/runs/kept.py",
            "if not leases.try_exclusively(connection, entry.lease):",
            "if False:",
            LIVING,
        ),
        Mutant(
            "a lock that many may hold is taken for proof",
            "testdb/postgres/leases.py",
            '"SELECT pg_try_advisory_lock(%s)"',
            '"SELECT pg_try_advisory_lock_shared(%s)"',
            LIVING,
        ),
    ),
    "Eight runs of two checkouts on one server, beside endless sweeps, never meet": (
        Mutant(
            "all runs have one id",
            "testdb/identity/names.py",
            "return secrets.token_hex(RUN_ID_BYTES)",
            'return "00" * RUN_ID_BYTES',
            EIGHT,
        ),
        Mutant(
            "each process has a lock of its own",
            "testdb/postgres/leases.py",
            'f"testdb:{owner}".encode()',
            "f\"testdb:{owner} {__import__('os').getpid()}\".encode()",
            EIGHT,
        ),
        Mutant(
            "advisory locks are taken in any database",
            "testdb/runs/run.py",
            "partial(self.server.connect, self.label)",
            'partial(self.server.connect, self.label, "template1")',
            EIGHT,
        ),
    ),
    "kill -9 of anything leaves nothing that one sweep does not remove, and no process": (
        Mutant(
            "a worker outlives its controller",
            "testdb/testing/plugin.py",
            "    os.kill(os.getpid(), signal.SIGKILL)\n",
            "    pass\n",
            f"{KILLED}::test_runs_killed_in_the_middle_on_the_embedded_server",
        ),
        Mutant(
            "a child ignores its parent's death",
            "testdb/processes/child.py",
            'threading.Thread(target=watch, name="end with parent", daemon=True).start()',
            "watch.__name__",
            f"{KILLED}::test_a_run_killed_in_the_middle_with_services",
        ),
        Mutant(
            "an example ignores the death of who runs it",
            "testdb/processes/child.py",
            "    end_with_parent()\n    sys.argv",
            "    sys.argv",
            "test_examples.py::test_kill_9_leaves_no_process",
        ),
        Mutant(
            "a sweep ends with its first leftovers",
            "testdb/runs/sweep.py",
            "_sweep(server, options, batch, on_verdict), batches)",
            "_sweep(server, options, batch, on_verdict), batches[:1])",
            "faults/test_sweep_says_what_goes_and_why.py::test_leftovers_of_many_runs_go",
        ),
        Mutant(
            "a sweep drops one database of each run",
            "testdb/runs/sweep.py",
            "        databases.drop(connection, verdict.entry.proven, end_sessions=end_sessions)\n",
            "        databases.drop(connection, verdict.entry.proven, end_sessions=end_sessions)\n"
            "        dead.discard(verdict.lease)\n",
            f"{KILLED}::test_runs_killed_in_the_middle_on_the_embedded_server",
        ),
        Mutant(
            "without a marker no name is proof",
            "testdb/identity/disposable.py",
            "if name.role == TEMPLATE:\n            raise",
            "if name.role:\n            raise",
            f"{NOTHING_REAL}::test_a_database_without_a_marker_goes_only_if_its_name_proves_itself",
        ),
        Mutant(
            "what a killed DROP left is altered first",
            "testdb/postgres/databases.py",
            "if _is_template(connection, proven.name):",
            "if connection:",
            f"{NOTHING_REAL}::test_a_killed_drop_is_finished_by_the_next_sweep",
        ),
    ),
    "The embedded server ends with its last user, kept databases aside": (
        Mutant(
            "it ignores its last user",
            "testdb/postgres/embedded/supervisor.py",
            "if tcp_port or not _somebody_keeps_a_database(socket):",
            "if False:",
            KEPT,
        ),
        Mutant(
            "it ignores kept databases",
            "testdb/postgres/embedded/supervisor.py",
            "return any(entry.is_kept for entry in catalog.read(connection).entries)",
            "return False",
            KEPT,
        ),
        Mutant(
            "its users hold no lock",
            "testdb/postgres/embedded/server.py",
            'home.locked("users.lock", fcntl.LOCK_SH)',
            'home.locked("users.lock", fcntl.LOCK_UN)',
            f"{EMBEDDED}::test_purge_refuses_to_take_what_somebody_uses_or_keeps",
        ),
        Mutant(
            "it outlives its supervisor",
            "testdb/postgres/embedded/supervisor.py",
            "        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)\n",
            "",
            f"{EMBEDDED}::test_it_ends_with_its_supervisor",
        ),
        Mutant(
            "it does not inherit the lock on its data",
            "testdb/postgres/embedded/supervisor.py",
            "pass_fds=[lock.fileno()]",
            "pass_fds=[]",
            f"{EMBEDDED}::test_no_second_one_starts_on_its_data",
        ),
        Mutant(
            "it outlives an error of its watcher",
            "testdb/postgres/embedded/supervisor.py",
            "    finally:\n        postgres.send_signal(signal.SIGINT)\n",
            "    finally:\n        pass\n",
            f"{EMBEDDED}::test_it_ends_though_looking_for_kept_databases_fails",
        ),
        Mutant(
            "its watcher waits for ever",
            "testdb/postgres/embedded/supervisor.py",
            "            connection.execute(f\"SET statement_timeout = '{LOOK_SECONDS}s'\")\n",
            "",
            f"{EMBEDDED}::test_it_ends_though_looking_for_kept_databases_takes_for_ever",
        ),
        Mutant(
            "a purge takes what somebody uses",
            "testdb/postgres/embedded/home.py",
            "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
            "fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
            f"{EMBEDDED}::test_purge_refuses_to_take_what_somebody_uses_or_keeps",
        ),
        Mutant(
            "a purge takes what somebody keeps",
            "testdb/postgres/embedded/purge.py",
            "if home.data.exists() and not force:",
            "if False:",
            f"{EMBEDDED}::test_purge_refuses_to_take_what_somebody_uses_or_keeps",
        ),
        Mutant(
            "a purge deletes the locks that others wait for",
            "testdb/postgres/embedded/purge.py",
            'if path != rubbish and path.suffix != ".lock":',
            "if path != rubbish:",
            f"{EMBEDDED}::test_purge_refuses_to_take_what_somebody_uses_or_keeps",
        ),
    ),
    "Other users of the machine neither get into the embedded server nor hold it up": (
        Mutant(
            "everybody may lock and read its files",
            "testdb/postgres/embedded/home.py",
            "os.fchmod(file, 0o600)",
            "os.fchmod(file, 0o644)",
            f"{OTHERS}::test_nobody_else_opens_or_locks_its_files",
        ),
        Mutant(
            "files of an older version stay open",
            "testdb/postgres/embedded/home.py",
            "        os.fchmod(file, 0o600)  #",
            "        #",
            f"{OTHERS}::test_files_that_an_older_version_left_open_are_closed",
        ),
        Mutant(
            "everybody is let in",
            "testdb/postgres/embedded/supervisor.py",
            "peer map=owner",
            "trust",
            f"{OTHERS}::test_nobody_else_gets_in",
        ),
        Mutant(
            "the map lets any user in",
            "testdb/postgres/embedded/supervisor.py",
            "f'owner \"{owner_name()}\" all\\n'",
            "f'owner /^ all\\n'",
            f"{OTHERS}::test_nobody_else_gets_in",
        ),
        Mutant(
            "the owner is let in under one role only",
            "testdb/postgres/embedded/supervisor.py",
            '"{owner_name()}" all\\n',
            '"{owner_name()}" postgres\\n',
            f"{OTHERS}::test_nobody_else_gets_in",
        ),
        Mutant(
            "whoever's process has that id is stopped",
            "testdb/postgres/embedded/server.py",
            "process.uids().effective != uid or runs not in process.cmdline()",
            "False",
            f"{OTHERS}::test_stop_ends_no_other_process_in_place_of_the_server",
        ),
        Mutant(
            "a process is known by its user alone",
            "testdb/postgres/embedded/server.py",
            "process.uids().effective != uid or runs not in process.cmdline()",
            "process.uids().effective != uid",
            f"{OTHERS}::test_stop_ends_no_other_process_in_place_of_the_supervisor",
        ),
        Mutant(
            "a process is known by its command alone",
            "testdb/postgres/embedded/server.py",
            "process.uids().effective != uid or runs not in process.cmdline()",
            "runs not in process.cmdline()",
            f"{OTHERS}::test_stop_ends_no_other_process_in_place_of_the_supervisor",
        ),
        Mutant(
            "it moves in with somebody else",
            "testdb/postgres/embedded/home.py",
            "found.st_uid != os.geteuid() or not stat",
            "not stat",
            f"{OTHERS}::test_a_place_in_the_directory_for_temporary_files_is_ours_alone",
        ),
        Mutant(
            "it moves in where everybody can write",
            "testdb/postgres/embedded/home.py",
            "if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:",
            "if False:",
            f"{OTHERS}::test_a_place_in_the_directory_for_temporary_files_is_ours_alone",
        ),
        Mutant(
            "its socket moves in with anybody",
            "testdb/postgres/embedded/supervisor.py",
            "own_directory(short) /",
            "short /",
            f"{OTHERS}::test_a_place_for_its_socket_is_ours_alone",
        ),
        Mutant(
            "its programs are made in the open",
            "testdb/postgres/embedded/supervisor.py",
            "    os.umask(0o077)  # nobody else may touch what we have yet to complete\n",
            "",
            f"{OTHERS}::test_nobody_else_reaches_its_programs_before_they_are_complete",
        ),
        Mutant(
            "its programs are opened before they are complete",
            "testdb/postgres/embedded/supervisor.py",
            '(*copy.rglob("*"), copy)',
            '(copy, *copy.rglob("*"))',
            f"{OTHERS}::test_nobody_else_reaches_its_programs_before_they_are_complete",
        ),
        Mutant(
            "a port lets everybody in",
            "testdb/postgres/embedded/supervisor.py",
            "{server.LOOPBACK}/32 scram-sha-256",
            "{server.LOOPBACK}/32 trust",
            f"{OTHERS}::test_nobody_gets_in_by_tcp_without_the_password",
        ),
        Mutant(
            "a port outlives who asked for it, where a database is kept",
            "testdb/postgres/embedded/supervisor.py",
            "if tcp_port or not _somebody",
            "if not _somebody",
            f"{OTHERS}::test_nobody_gets_in_by_tcp_without_the_password",
        ),
        Mutant(
            "a password outlives who asked for it",
            "testdb/postgres/embedded/listen.py",
            "            _set_password(connection, None)\n",
            "            pass\n",
            f"{OTHERS}::test_nobody_gets_in_by_tcp_without_the_password",
        ),
        Mutant(
            "whoever is in by a port stays in",
            "testdb/postgres/embedded/listen.py",
            "SELECT pg_terminate_backend(pid) FROM",
            "SELECT pid FROM",
            f"{OTHERS}::test_nobody_gets_in_by_tcp_without_the_password",
        ),
    ),
    "A server that dies, or is not fit, gives one clear message": (
        Mutant(
            "tests go on without a server",
            "testdb/testing/plugin.py",
            "            item.session.shouldstop = str(error)\n",
            "",
            f"{DIES}::test_the_run_ends_at_once_and_the_next_is_green",
        ),
        Mutant(
            "the driver's error goes through",
            "testdb/postgres/server.py",
            "            raise ServerError(self._out_of_reach(str(error))) from None\n",
            "            raise\n",
            f"{UNFIT}::test_a_server_out_of_reach",
        ),
        Mutant(
            "nobody asks whether databases can be created",
            "testdb/postgres/server.py",
            "if not may_create:",
            "if False:",
            f"{UNFIT}::test_a_role_that_may_not_create_databases",
        ),
        Mutant(
            "a pooler is taken for the server",
            "testdb/postgres/server.py",
            "if (pid, opened) != (connection.info.backend_pid, database):",
            "if opened != database:",
            f"{UNFIT}::test_a_pooler_before_the_server",
        ),
        Mutant(
            "nobody counts free connections",
            "testdb/postgres/server.py",
            "if free < needed:",
            "if False:",
            f"{UNFIT}::test_a_role_with_too_few_connections",
        ),
        Mutant(
            "a user without a name is left to initdb",
            "testdb/postgres/embedded/home.py",
            "        owner_name()\n        return Account",
            "        return Account",
            f"{ANYWHERE}::test_a_user_without_a_name_is_told_so_and_may_use_an_external_server",
        ),
        Mutant(
            "no `nobody` is found out too late",
            "testdb/postgres/embedded/home.py",
            "    account()\n    name = blake2b",
            "    name = blake2b",
            f"{ANYWHERE}::test_root_without_a_user_nobody_is_told_so",
        ),
        Mutant(
            "no place for temporary files is a traceback",
            "testdb/postgres/embedded/home.py",
            "with suppress(FileNotFoundError):",
            "with suppress(KeyError):",
            f"{ANYWHERE}::test_a_system_without_a_place_for_temporary_files_is_named",
        ),
        Mutant(
            "pytest's cache of another user ends the run",
            "pyproject.toml",
            '    "ignore::pytest.PytestCacheWarning",\n',
            "",
            f"{ANYWHERE}::test_root_and_an_ordinary_user_alternate_in_one_checkout",
        ),
        Mutant(
            "a standby is not noticed",
            "testdb/postgres/server.py",
            "        if is_standby:",
            "        if False:",
            f"{UNFIT}::test_a_standby",
        ),
        Mutant(
            "a role that only reads is not noticed",
            "testdb/postgres/server.py",
            "elif is_read_only:",
            "elif False:",
            f"{UNFIT}::test_a_role_that_only_reads",
        ),
        Mutant(
            "a role that acts as another is not noticed",
            "testdb/postgres/server.py",
            "elif acts_as:",
            "elif False:",
            f"{UNFIT}::test_a_role_that_acts_as_another",
        ),
    ),
    "Migrations really run, once; nobody sees a template half-made": (
        Mutant(
            "a template is visible before it is complete",
            "testdb/postgres/templates.py",
            "        databases.create(connection, building, purpose)\n"
            "        migrator.migrate(server.url_of(str(building)))\n",
            "        databases.create(connection, final, purpose)\n"
            "        connection.execute(f'ALTER DATABASE \"{final}\" IS_TEMPLATE true'.encode())\n"
            "        migrator.migrate(server.url_of(str(final)))\n"
            "        return Template(final, None, (), 0.0)\n",
            BUILDER_DIES,
        ),
        Mutant(
            "whoever needs a template builds it",
            "testdb/postgres/templates.py",
            '    connection.execute("SELECT pg_advisory_lock(%s)", [building])\n',
            "",
            BUILDER_DIES,
        ),
        Mutant(
            "who uses a template does not say so",
            "testdb/postgres/templates.py",
            '    connection.execute("SELECT pg_advisory_lock_shared(%s)", '
            "[leases.key_of(str(name))])\n",
            "",
            BUILDER_DIES,
        ),
        Mutant(
            "what a killed sweep left is taken for a template",
            "testdb/postgres/templates.py",
            '        " WHERE datname = %s AND datistemplate",\n',
            '        " WHERE datname = %s",\n',
            f"{TEMPLATE}::test_what_a_killed_sweep_left_of_a_template_is_built_anew",
        ),
        Mutant(
            "the hash leaves out what is in the migrations",
            "testdb/runs/migrations.py",
            "digest = hash_files(migration_files(logical))",
            'digest = " ".join(f.name for f in migration_files(logical) if f.suffix == ".py")',
            UNCHANGED,
        ),
        Mutant(
            "--cold-template takes what is cached",
            "testdb/postgres/templates.py",
            "(run, COLD) if cold else",
            "(run, COLD) if False else",
            UNCHANGED,
        ),
    ),
    "Models that disagree with migrations are one message, before the first test": (
        Mutant(
            "nobody compares them",
            "testdb/runs/migration_check.py",
            "            command.check(config)\n",
            "            pass\n",
            MODELS,
        ),
        Mutant(
            "once compared is compared for ever",
            "testdb/runs/migrations.py",
            "return hash_files(source_files())",
            "return hash_files([])",
            MODELS,
        ),
        Mutant(
            "two heads are one",
            "testdb/runs/revisions.py",
            "if len(heads) > 1:",
            "if len(heads) > 2:",
            "test_migrations.py::test_two_heads_are_told_once_before_the_first_test",
        ),
    ),
    "A wrong migration is one message before any test: file, line, what to do": (
        Mutant(
            "nobody looks for the line",
            "testdb/runs/migration_errors.py",
            "for frame in (of_migrations or frames)[-1:]:",
            "for frame in ():",
            WRONG_MIGRATION,
        ),
        Mutant(
            "not every error is explained",
            "testdb/runs/migration_errors.py",
            "except Exception as error:",
            "except ValueError as error:",
            WRONG_MIGRATION,
        ),
        Mutant(
            "two files may have one revision",
            "testdb/runs/revisions.py",
            "if other != path:",
            "if False:",
            WRONG_MIGRATION,
        ),
        Mutant(
            "no migration is undone",
            "testdb/runs/migration_check.py",
            'command.downgrade(config, "base")',
            "pass",
            WRONG_MIGRATION,
        ),
        Mutant(
            "a downgrade is undone within a transaction",
            "testdb/runs/migration_check.py",
            "    connection.rollback()",
            "    pass",
            "test_mistakes_in_migrations.py::test_an_autocommit_block_can_be_undone",
        ),
        Mutant(
            "CI puts off what models lack",
            "testdb/testing/plugin.py",
            ' and not os.environ.get("CI")',
            "",
            "test_mistakes_in_migrations.py"
            "::test_what_models_lack_is_shown_as_the_migration_that_would_be_written",
        ),
    ),
    "What `invoke db.revision` writes runs as it is, unless rows need values that only you know; "
    "deployments migrate one after the other": (
        Mutant(
            "a type stays behind",
            f"{MIGRATIONS}/env.py",
            "import alembic_postgresql_enum  #",
            "#",
            ENUM,
        ),
        Mutant(
            "a migration is written that does nothing",
            f"{MIGRATIONS}/__init__.py",
            "scripts.clear()",
            "pass",
            ENUM,
        ),
        Mutant(
            "a migration that fails is left behind",
            f"{MIGRATIONS}/__init__.py",
            "path.unlink()",
            "pass",
            "test_writing_migrations.py"
            "::test_an_empty_migration_is_lint_clean_and_a_failed_one_leaves_no_file",
        ),
        Mutant(
            "only some errors are told in short",
            f"{MIGRATIONS}/__main__.py",
            "except Exception as error:",
            "except TOLD_BY_LIBRARIES as error:",
            "test_deployment.py::test_whatever_a_migration_raises_is_one_message_with_its_line",
        ),
        Mutant(
            "everybody migrates at once",
            f"{MIGRATIONS}/__init__.py",
            "pg_try_advisory_lock(",
            "pg_try_advisory_lock_shared(",
            DEPLOYMENTS,
        ),
        Mutant(
            "who waits for another program does not say so",
            f"{MIGRATIONS}/__init__.py",
            "            sys.stderr.write(",
            "            str(",
            DEPLOYMENTS,
        ),
    ),
    "Checks, exclusions and indexes are compared with the models as PostgreSQL stores them": (
        Mutant(
            "only names are compared",
            f"{MIGRATIONS}/constraints.py",
            "differ = {part.name for part in old ^ new}",
            "differ = {part.name for part in old} ^ {part.name for part in new}",
            CONSTRAINTS,
        ),
        Mutant(
            "what stands in a column of a new table is forgotten",
            f"{MIGRATIONS}/constraints.py",
            "if found is None:  #",
            "if found is None:\n        return set()  #",
            ENUM,
        ),
        Mutant(
            "a colon begins a parameter",
            f"{MIGRATIONS}/constraints.py",
            'escaped = re.sub(r"(?<!:):(?=\\w)", r"\\\\:", statement.sql)',
            "escaped = statement.sql",
            CONSTRAINTS,
        ),
        Mutant(
            "exclusions are not read",
            f"{MIGRATIONS}/constraints.py",
            "AND contype IN ('c', 'x') AND",
            "AND contype IN ('c') AND",
            CONSTRAINTS,
        ),
    ),
    "A mistake shows the line of yours and one message, once: a refusal, a marker, an example": (
        Mutant(
            "a refusal shows what it passed",
            "testdb/testing/plugin.py",
            "        call.excinfo = in_one_message(error, call.excinfo)\n",
            "        pass\n",
            REFUSAL,
        ),
        Mutant(
            "an error of a library is told with its cause",
            "testdb/testing/reports.py",
            "    if led and not own_traceback(led) and str(led) in str(error):",
            "    if False:",
            "test_mistakes_are_one_message.py"
            "::test_an_error_is_shown_once_and_in_the_lines_of_the_owner",
        ),
        Mutant(
            "a second marker is not seen",
            "testdb/testing/fixtures.py",
            "marks = [mark for node, mark in found if node is found[0][0]]",
            "marks = [found[0][1]]",
            "test_mistakes_are_one_message.py::test_a_test_that_is_isolated_in_no_way_is_told_once",
        ),
        Mutant(
            "frames of libraries are shown",
            "testdb/processes/reports.py",
            "            is_told = is_own(frame[1])\n",
            "            is_told = True\n",
            "test_examples.py::test_an_example_that_fails_shows_its_own_line",
        ),
        Mutant(
            "a Python without the packages is left to its imports",
            "testdb/identity/interpreter.py",
            "if LACKING:",
            "if False:",
            "test_starts.py::test_a_python_that_is_of_no_use_says_so_in_one_line",
        ),
        Mutant(
            "an old Python is left to its syntax errors",
            "testdb/identity/interpreter.py",
            "if sys.version_info < OLDEST:",
            "if False:",
            "test_starts.py::test_a_python_that_is_of_no_use_says_so_in_one_line",
        ),
    ),
    "A wrong setting is told in one line, and `/health` answers 503 while a database is away": (
        Mutant(
            "a silent database is waited for",
            f"{SERVICE}/health.py",
            "asked.values(), timeout=PATIENCE_SECONDS)",
            "asked.values())",
            "test_deployment.py::test_health_does_not_wait_for_a_database_that_says_nothing",
        ),
        Mutant(
            "a wrong setting ends in a traceback",
            f"{SERVICE}/settings.py",
            "raise SystemExit(str(error)) from None",
            "raise",
            ONE_LINE,
        ),
        Mutant(
            "a wrong setting ends pytest",
            f"{SERVICE}/settings.py",
            "class SettingsError(ValueError)",
            "class SettingsError(SystemExit)",
            MISSING,
        ),
        Mutant(
            "a service that reloads ends in frames",
            "testdb/adapter.py",
            "    with error_as_exit():\n",
            "    if error_as_exit:\n",
            MISSING,
        ),
        Mutant(
            "a server out of reach is told as libpq does",
            f"{MIGRATIONS}/__init__.py",
            "{' '.join(str(error.orig).split())}",
            "{error.orig}",
            "test_deployment.py::test_migrations_that_reach_no_server_say_so_in_one_line",
        ),
        Mutant(
            "tests have the log of production",
            "testdb/adapter.py",
            '    "log_format": "text",',
            "",
            PARTS,
        ),
        Mutant(
            "settings of tests are not read as the service does",
            "testdb/adapter.py",
            "return read_settings(database_urls=secrets)",
            "return read_settings(database_urls=secrets, **SETTINGS)",
            PARTS,
        ),
        Mutant(
            "a setting that the service does not have is overlooked",
            "testdb/adapter.py",
            'if name.partition("__")[0] not in Settings.model_fields:',
            "if not name:",
            MISSING,
        ),
        Mutant(
            "the service logs as uvicorn does",
            f"{SERVICE}/__main__.py",
            "        log_config=log_config(settings),\n",
            "",
            GOES_AND_COMES,
        ),
    ),
    "Two workers commit the same unique key at the same time": (
        Mutant(
            "all workers have one name",
            "testdb/testing/fixtures.py",
            'return worker_input(pytestconfig).get("workerid", "main")',
            'return "main"',
            TWO_WORKERS,
        ),
        Mutant(
            "each worker is a run of its own",
            "testdb/testing/plugin.py",
            'node.workerinput["testdb_run"] = run.id if run else None',
            'node.workerinput["testdb_run"] = None',
            TWO_WORKERS,
        ),
        Mutant(
            "db.list takes the living for dead",
            "testdb/postgres/catalog.py",
            "alive=leases.key_of(proven.name.run or name) in held",
            "alive=False",
            TWO_WORKERS,
        ),
    ),
    "No test sees another's rows, sequences or DDL: reset or clone, async or not, in any order": (
        Mutant(
            "reset without sequences",
            "testdb/postgres/contents.py",
            "            *self._restart(moved),\n",
            "",
            NEVER_MEET,
        ),
        Mutant(
            "reset without a look at the schema",
            "testdb/postgres/reset.py",
            "if catalogs and not holds",
            "if False and not holds",
            NEVER_MEET,
        ),
        Mutant(
            "what a test used is used again as it is",
            "testdb/postgres/reset.py",
            "        if grown or touched or now.moved:\n",
            "        if False:\n",
            NEVER_MEET,
        ),
        Mutant(
            "a clone is the worker's own database",
            "testdb/testing/worker.py",
            "mode = isolation.mode\n",
            "mode = IsolationMode.RESET\n",
            NEVER_MEET,
        ),
    ),
    "A reset restores all, or the database is cloned anew and the run says why: `pg_dump` is the "
    "judge": (
        Mutant(
            "what the server knows of a database does not count",
            "testdb/postgres/reset.py",
            "if now.database != before.database:",
            "if False:",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "only some catalogs count",
            "testdb/postgres/contents.py",
            "        return catalogs <= self._hashes.keys() and all(",
            "        catalogs &= self._hashes.keys()\n        return all(",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "what cannot be refilled does not count",
            "testdb/postgres/reset.py",
            "        if lost := touched - holds.seeds.keys():",
            "        touched &= holds.seeds.keys()\n"
            "        if lost := touched - holds.seeds.keys():",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "seeds are not refilled",
            "testdb/postgres/contents.py",
            "            *_at_once([seed.refill for seed in seeds]),\n",
            "",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "policies hide rows from a reset",
            "testdb/postgres/contents.py",
            '        "  AND NOT row_security_active(c.oid)"\n',
            "",
            f"{RESTORES}::test_a_role_that_is_no_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "rows that were changed are taken for new ones",
            "testdb/postgres/contents.py",
            "FROM ONLY {} WHERE NOT {}",
            "FROM ONLY {} WHERE {}",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "what a trigger deletes does not count",
            "testdb/postgres/contents.py",
            "pg_stat_get_xact_tuples_deleted(t) > 0",
            "false",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
        Mutant(
            "what a trigger writes does not count",
            "testdb/postgres/contents.py",
            "pg_stat_get_xact_tuples_inserted(t) + pg_stat_get_xact_tuples_updated(t) > 0",
            "false",
            f"{RESTORES}::test_a_superuser_leaves_nothing_behind",
        ),
    ),
    "Pooled sessions, asyncio tasks and the app carry nothing from one test to the next": (
        Mutant(
            "settings stay in a pool",
            "testdb/postgres/sessions.py",
            " RESET ALL;",
            "",
            NOTHING_OVER,
        ),
        Mutant(
            "what a listener sets goes",
            "testdb/postgres/sessions.py",
            "        _set_up.add(pgconn)",
            "        pass",
            "test_sessions_carry_nothing_over.py::test_what_a_connect_listener_sets_stays",
        ),
        Mutant(
            "a forgotten task goes on",
            "testdb/testing/plugin.py",
            "        item.obj = ending_its_tasks(test, item.nodeid)",
            "        item.obj = test",
            "test_what_a_test_leaves_running.py::test_who_leaves_something_running_fails_by_name",
        ),
        Mutant(
            "what polls for the app is ended",
            "testdb/postgres/guard.py",
            "(label, in_service.get())",
            "(label, False)",
            "test_what_a_test_leaves_running.py"
            "::test_what_polls_and_listens_for_the_app_breaks_no_test",
        ),
        Mutant(
            "routes stay",
            "testdb/adapter.py",
            "            app.router.routes,\n",
            "",
            "test_the_app_is_as_it_was.py::test_what_a_test_changes_of_the_app_is_gone",
        ),
    ),
    "e2e tests too find what the template holds, under the running service": (
        Mutant(
            "what the service has in its pool stays",
            "testdb/postgres/sessions.py",
            "{session.pid for session in found}",
            "{session.pid for session in forgotten}",
            ONE_EMAIL,
        ),
        Mutant(
            "the service may have no idle session",
            "tests/e2e/conftest.py",
            "is_served=True",
            "is_served=False",
            ONE_EMAIL,
        ),
        Mutant(
            "a clone is used through the worker's service",
            "tests/e2e/conftest.py",
            "                yield service\n",
            "                yield worker_service\n",
            ONE_EMAIL,
        ),
    ),
    "A clone is used again, TRUNCATE costs none, and no commit waits for a disk": (
        Mutant(
            "what a reset writes counts as a change",
            "testdb/postgres/reset.py",
            "bool(written or touched)",
            "bool(touched)",
            "test_resets_and_clones.py::test_what_a_reset_itself_writes_is_not_put_back",
        ),
        Mutant(
            "a clone is used once",
            "testdb/testing/worker.py",
            "        if used.obstacles:\n",
            "        if used.obstacles or mode is IsolationMode.CLONE:\n",
            "test_resets_and_clones.py::test_a_clone_whose_schema_is_as_it_was_is_used_again",
        ),
        Mutant(
            "TRUNCATE changes the schema",
            "testdb/postgres/contents.py",
            '    *("relfilenode", "relpages",',
            '    *("relpages",',
            TRUNCATES,
        ),
        Mutant(
            "commits wait for the disk",
            "testdb/postgres/server.py",
            'return ("synchronous_commit=off",) if',
            "return () if",
            TRUNCATES,
        ),
    ),
    "Rows that a module or a run shares are stored once, and every test finds them": (
        Mutant(
            "clones are of the template",
            "testdb/testing/worker.py",
            "base, over = self._bases[-1].databases, ",
            "base, over = self._bases[0].databases, ",
            SEEDS,
        ),
        Mutant(
            "a reset goes back to the template",
            "testdb/testing/worker.py",
            "databases, self._bases[-1].contents)",
            "databases, self._bases[0].contents)",
            SEEDS,
        ),
        Mutant(
            "the next module has them too",
            "testdb/testing/worker.py",
            "self._rebase(self._bases[:-1])",
            "pass",
            SEEDS,
        ),
    ),
    "`db.drop` drops a whole run or nothing; `db.migrate` adds what is new; `service.run` ends": (
        Mutant(
            "sessions are not looked for",
            "testdb/runs/kept.py",
            "if used := catalog.sessions_on(connection, names):",
            "if used := dict[str, list[str]]():",
            TOGETHER,
        ),
        Mutant(
            "what is added is kept for ever",
            "testdb/runs/kept.py",
            "kept_until=marker.kept_until",
            "kept_until=None",
            "test_database_tasks.py"
            "::test_a_logical_database_that_is_added_comes_to_tests_and_to_what_was_created",
        ),
        Mutant(
            "what cannot be migrated keeps the others from it",
            "testdb/runs/kept.py",
            "            except LifecycleError as error:\n",
            "            except NotImplementedError as error:\n",
            "test_database_tasks.py::test_what_is_not_migrated_is_named_and_all_else_is_migrated",
        ),
        Mutant(
            "a reloaded service outlives who watches it",
            "testdb/processes/serve.py",
            "        child.end_with_parent(reloader.join)\n",
            "        pass\n",
            "test_service.py::test_a_service_that_reloads_ends_with_who_is_killed",
        ),
    ),
    "Tests use the app's own factory and lifespan; no event loop meets another's connection": (
        Mutant(
            "the lifespan does not run",
            "tests/conftest.py",
            "state = await stack.enter_async_context(app.router.lifespan_context(app))\n",
            "state = None\n",
            LOOPS,
        ),
        Mutant(
            "requests do not find what the lifespan yields",
            "testdb/testing/lifespan.py",
            'if scope["type"] != "lifespan":',
            'if scope["type"] == "lifespan":',
            "test_the_app_is_as_it_was.py::test_requests_find_the_state_that_the_lifespan_yields",
        ),
        Mutant(
            "the session has a factory of its own",
            "tests/conftest.py",
            "factories = app.state.databases.sessions\n",
            "factories = type(app.state.databases)(app.state.settings).sessions\n",
            LOOPS,
        ),
        Mutant(
            "one app serves all event loops",
            "testdb/testing/fixtures.py",
            'return "session" if scope == "session" else "function"',
            'return "session" if scope else "function"',
            LOOPS,
        ),
        Mutant(
            "the app keeps its connections",
            "src/<<cookiecutter.package_name>>/app.py",
            "            await app.state.databases.dispose()",
            "            pass",
            LOOPS,
        ),
    ),
    "Nobody reaches a database that is not disposable: "
    "a connection is refused before anything is sent": (
        Mutant(
            "the guard lets everything pass",
            "testdb/postgres/guard.py",
            "if parse(database) is None and not is_ours:",
            "if False:",
            REFUSED,
        ),
        Mutant(
            "a refusal that was swallowed is forgotten",
            "testdb/testing/plugin.py",
            "refusal = guard.take_refusal()",
            "refusal = None",
            REFUSED,
        ),
        Mutant(
            "a module that swallows a refusal is believed",
            "testdb/testing/plugin.py",
            "error = guard.take_refusal() or (excinfo.value if excinfo else ",
            "error = (excinfo.value if excinfo else ",
            "test_guard.py::test_a_module_that_swallows_a_refusal_is_named",
        ),
        Mutant(
            "unit tests connect",
            "testdb/postgres/guard.py",
            "if self.is_closed and not self._is_exempt.get():",
            "if False:",
            "test_guard.py::test_unit_tests_reach_no_database_at_all",
        ),
    ),
    "A test that leaves a session open, hangs or crashes is named; the others pass, nothing is "
    "left": (
        Mutant(
            "a test that hangs goes on",
            "testdb/testing/timeouts.py",
            "        task.cancel()",
            "        pass",
            HANGS,
        ),
        Mutant(
            "of a fixture that hangs no line is shown",
            "testdb/testing/timeouts.py",
            "waiting = next((to for to in referred if isinstance(to, AsyncGeneratorType)), None)",
            "waiting = None",
            HANGS,
        ),
        Mutant(
            "nobody looks for sessions left open",
            "testdb/postgres/sessions.py",
            "return [session.describe(pooled) for session in forgotten]",
            "return []",
            MISBEHAVES,
        ),
        Mutant(
            "a program may keep idle sessions",
            "testdb/postgres/sessions.py",
            'not (is_served and s.state == "idle")',
            's.state != "idle"',
            MISBEHAVES,
        ),
        Mutant(
            "what a crashed worker had stays",
            "testdb/testing/audit.py",
            "                if not entry.is_kept:\n",
            "                if False:\n",
            MISBEHAVES,
        ),
        Mutant(
            "an audit that never fails",
            "testdb/testing/plugin.py",
            "        session.exitstatus = pytest.ExitCode.TESTS_FAILED",
            "        pass",
            "test_misbehaving_tests.py::test_a_database_left_behind_fails_the_run",
        ),
    ),
    "An example that fails, hangs, leaves a database or kills itself fails e2e, alone": (
        Mutant(
            "exit codes do not count",
            "testdb/processes/examples.py",
            "return child.how_it_ended(process) if process.returncode else None",
            "return None",
            BAD_EXAMPLES,
        ),
        Mutant(
            "nobody looks for databases left behind",
            "testdb/processes/examples.py",
            "left = _drop_leftovers(run, process.pid, example)",
            "left: list[str] = []",
            BAD_EXAMPLES,
        ),
        Mutant(
            "the service's log is not shown",
            "testdb/processes/examples.py",
            "child.tail(log.fileno())",
            '""',
            BAD_EXAMPLES,
        ),
        Mutant(
            "every service has one port",
            "testdb/processes/service.py",
            "socket.create_server((LOOPBACK, port))",
            "socket.create_server((LOOPBACK, 18765))",
            BAD_EXAMPLES,
        ),
        Mutant(
            "the socket is not handed over",
            "testdb/processes/service.py",
            "pass_fds=[fd]",
            "pass_fds=[]",
            "test_service.py::test_a_service_by_hand_ends_by_ctrl_c",
        ),
    ),
    "An external server is left as it was, and its password is seen nowhere": (
        Mutant(
            "the password is in a message",
            "testdb/postgres/server.py",
            '({self.url}) cannot be used: {reason} "',
            "({open(os.environ['PGPASSFILE']).read()}) cannot be used: {reason} \"",
            f"{UNFIT}::test_a_wrong_password",
        ),
        Mutant(
            "the password is in the URLs of db.create",
            "testdb/postgres/psql.py",
            "user = f\"{quote(url.username, safe='')}@\"",
            "user = f\"{quote(url.username, safe='')}:{quote(str(url.password), safe='')}@\"",
            "test_database_tasks.py::test_a_created_database_stays_until_it_is_dropped",
        ),
        Mutant(
            "the password is on a command line",
            "testdb/processes/service.py",
            '["-m", "testdb.processes.serve", str(fd), ',
            '["-m", "testdb.processes.serve", str(fd), open(os.environ["PGPASSFILE"]).read(), ',
            "test_external_server.py::test_no_process_shows_the_password",
        ),
        Mutant(
            "a worker keeps its databases",
            "testdb/testing/worker.py",
            "                self._drop_set(made.databases)\n            except",
            "                pass\n            except",
            "test_external_server.py::test_an_external_server_is_used_and_left_as_it_was",
        ),
    ),
    "In testdb imports go one way, only `postgres` speaks PostgreSQL, and only `adapter` knows the "
    "service": (
        Mutant(
            "postgres may import the adapter",
            "pyproject.toml",
            '"testdb.postgres | testdb.adapter"',
            '"testdb.postgres : testdb.adapter"',
            PAST_THE_ROOMS,
        ),
        Mutant(
            "any room may import psycopg",
            "pyproject.toml",
            'forbidden_modules = ["psycopg"]',
            'forbidden_modules = ["tarfile"]',
            PAST_THE_ROOMS,
        ),
        Mutant(
            "circles are allowed",
            "pyproject.toml",
            'ancestors = ["testdb"]',
            'ancestors = ["tasks"]',
            PAST_THE_ROOMS,
        ),
    ),
    "Neither a parameter of a URL, nor a variable, nor a program that a test starts "
    "reaches another server": (
        Mutant(
            "the query of a URL may hold anything",
            "testdb/postgres/server_url.py",
            "if refused := sorted(url.query.keys() - QUERY):",
            "if refused := []:",
            f"{ELSEWHERE}::test_a_url_that_leads_elsewhere_is_refused",
        ),
        Mutant(
            "nobody asks what the server has opened",
            "testdb/postgres/server.py",
            "if (pid, opened) != (connection.info.backend_pid, database):",
            "if pid != connection.info.backend_pid:",
            f"{ELSEWHERE}::test_a_server_that_opens_another_database_is_refused",
        ),
        Mutant(
            "a reset deletes rows anywhere",
            "testdb/postgres/reset.py",
            "if parse(database) is None:",
            "if False:",
            f"{ELSEWHERE}::test_a_reset_deletes_only_in_a_disposable_database",
        ),
        Mutant(
            "libpq's variables count",
            "testdb/postgres/environment.py",
            "            del os.environ[name]",
            "            pass",
            f"{ELSEWHERE}::test_no_variable_of_libpq_counts_for_the_embedded_server",
        ),
        Mutant(
            "they count when a test sets them",
            "testdb/postgres/guard.py",
            '"hostaddr": "", ',
            "",
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "a host is looked up before the guard",
            "testdb/postgres/guard.py",
            'guard.check(make_conninfo("", **params))\n    return conninfo',
            "return conninfo",
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "the guard overlooks what libpq takes for granted",
            "testdb/postgres/guard.py",
            "wanted = _defaults() | given",
            'wanted = {"host": "", "port": "", "user": "", **given}',
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "any server will do",
            "testdb/postgres/guard.py",
            "if server != (maintained or self.server):",
            "if False:",
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "what a test starts has the settings of the shell",
            "testdb/runs/__init__.py",
            "environment.apply()",
            "_ = environment",
            f"{ELSEWHERE}::test_examples_have_the_settings_of_their_own_databases",
        ),
        Mutant(
            "what a conftest sets stays for the tests",
            "testdb/testing/plugin.py",
            "    environment.apply()\n",
            "",
            f"{ELSEWHERE}::test_programs_that_a_test_starts_migrate_no_real_database",
        ),
        Mutant(
            "a password that a test file sets comes first",
            "testdb/runs/environment.py",
            'os.environ.pop("PGPASSWORD", None)',
            "pass",
            f"{ELSEWHERE}::test_programs_that_a_test_starts_migrate_no_real_database",
        ),
        Mutant(
            "a connection for replication passes",
            "testdb/postgres/guard.py",
            'if "replication" in given:',
            "if False:",
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "testdb itself may go anywhere",
            "testdb/postgres/guard.py",
            "is_ours = maintained is not None and database == MAINTENANCE",
            "is_ours = maintained is not None",
            f"{ELSEWHERE}::test_what_a_test_sets_leads_nowhere_else",
        ),
        Mutant(
            "what the settings lack is read from a file",
            "testdb/runs/environment.py",
            "environment(dict.fromkeys(LOGICAL, NO_DATABASE))",
            "environment({})",
            f"{ELSEWHERE}::test_programs_that_a_test_starts_migrate_no_real_database",
        ),
        Mutant(
            "libpq is told no host",
            "testdb/postgres/environment.py",
            "os.environ.update(LEADS_NOWHERE)",
            "pass",
            f"{ELSEWHERE}::test_programs_without_an_address_find_no_database",
        ),
    ),
    "No report shows a password, whatever its style": (
        Mutant(
            "reports show the variables of libraries",
            "testdb/testing/reports.py",
            "entry.reprlocals = entry.reprfuncargs = None",
            "pass",
            PASSWORDS,
        ),
        Mutant(
            "TESTDB_SERVER_URL keeps its password",
            "testdb/postgres/server_url.py",
            "URL.create(url.drivername, url.username, None, ",
            "URL.create(url.drivername, url.username, url.password, ",
            PASSWORDS,
        ),
        Mutant(
            "reports of hooks show the variables of libraries",
            "testdb/testing/plugin.py",
            "    hide_variables_of_libraries(excrepr)\n",
            "    pass\n",
            PASSWORDS,
        ),
        Mutant(
            "a part of a password is taken for a host",
            "testdb/postgres/server_url.py",
            'if configured.partition("?")[0].count("@") > 1 or "\\n" in password:',
            "if False:",
            f"{ELSEWHERE}::test_a_password_that_is_not_escaped_is_told_nobody",
        ),
    ),
    "What was created is dropped or kept, whatever a test does to it; "
    "else the run fails and names it": (
        Mutant(
            "a run needs the marker of what it made",
            "testdb/identity/disposable.py",
            "    except NotDisposableError:\n        return Disposable(name, None, _PROOF)",
            "    except NotDisposableError:\n        raise",
            f"{ACCOUNTED}::test_a_database_whose_comment_a_test_changed_is_dropped",
        ),
        Mutant(
            "the audit goes by the rule for strangers",
            "testdb/runs/run.py",
            "catalog.of_run(self.connection, self.id, self._prove)",
            "catalog.of_run(self.connection, self.id)",
            f"{ACCOUNTED}::test_a_worker_that_crashes_after_it_changed_the_comment_leaves_nothing",
        ),
        Mutant(
            "what is kept has no marker",
            "testdb/postgres/databases.py",
            "    _write_marker(connection, name, _marker_of(purpose, created, in_days(",
            "    (_marker_of(purpose, created, in_days(",
            f"{ACCOUNTED}::test_a_database_whose_comment_a_test_changed_is_kept_with_a_marker",
        ),
        Mutant(
            "a name that was used twice counts once",
            "testdb/testing/audit.py",
            "(Counter(self.created) - accounted).elements()",
            "set(self.created) - set(accounted)",
            f"{ACCOUNTED}::test_a_test_that_drops_or_renames_its_own_database_fails_the_run",
        ),
        Mutant(
            "nobody misses a database",
            "testdb/testing/audit.py",
            "for name in (Counter(self.created) - accounted).elements()",
            "for name in ()",
            f"{ACCOUNTED}::test_a_test_that_drops_or_renames_its_own_database_fails_the_run",
        ),
        Mutant(
            "nobody looks at roles",
            "testdb/testing/audit.py",
            "self.new_roles = sorted(catalog.roles(run.connection) - self.roles_before)",
            "self.new_roles = []",
            f"{ACCOUNTED}::test_roles_that_a_test_left_are_named",
        ),
        Mutant(
            "roles that were there before are named",
            "testdb/testing/audit.py",
            "sorted(catalog.roles(run.connection) - self.roles_before)",
            "sorted(catalog.roles(run.connection))",
            f"{ACCOUNTED}::test_roles_that_a_test_left_are_named",
        ),
        Mutant(
            "nobody looks for prepared transactions",
            "testdb/testing/audit.py",
            "for database, gid in catalog.prepared_transactions(run.connection, run.id):",
            "for database, gid in ():",
            f"{ACCOUNTED}::test_prepared_transactions_that_a_test_left_are_named",
        ),
        Mutant(
            "one clone that cannot be dropped keeps the others",
            "testdb/testing/worker.py",
            "            except RefusedError as refusal:\n                if mode",
            "            except ZeroDivisionError as refusal:\n                if mode",
            f"{ACCOUNTED}::test_prepared_transactions_that_a_test_left_are_named",
        ),
    ),
    "A signal, a timeout, a network that stalls: the run ends in time, "
    "with its databases or one message": (
        Mutant(
            "a connection that is given up stays half open",
            "testdb/postgres/guard.py",
            'vars(waiting)["wait_conn_async"] = _wait_and_close_async\n',
            "",
            "test_guard.py::test_a_connection_that_is_given_up_is_closed_at_once",
        ),
        Mutant(
            "an interrupted command goes on",
            "testdb/postgres/server.py",
            "        except BaseException:\n            if self.pgconn",
            "        except ZeroDivisionError:\n            if self.pgconn",
            f"{INTERRUPTED}::test_a_timeout_in_the_middle_of_create",
        ),
        Mutant(
            "a task dies at once",
            "tasks/reporting.py",
            "        child.terminate_in_order()\n",
            "",
            f"{INTERRUPTED}::test_a_signal_in_the_middle_of_create",
        ),
        Mutant(
            "the end of a terminal is not noticed",
            "testdb/processes/child.py",
            "TERMINATING: Final = (signal.SIGTERM, signal.SIGHUP)",
            "TERMINATING: Final = (signal.SIGTERM,)",
            f"{INTERRUPTED}::test_a_signal_in_the_middle_of_create",
        ),
        Mutant(
            "a task that was terminated says that all went well",
            "tasks/reporting.py",
            "raise Exit(code=child.TERMINATED) from None",
            "raise Exit(code=0) from None",
            f"{INTERRUPTED}::test_a_signal_to_a_service_by_hand",
        ),
        Mutant(
            "the end of a test waits for ever",
            "testdb/testing/plugin.py",
            "        with guard.cutting_after(TEARDOWN_SECONDS):\n            timeouts.",
            "        if True:\n            timeouts.",
            f"{STALLS}::test_the_run_ends_in_time_and_says_why",
        ),
        Mutant(
            "the end of an interrupted run waits for ever",
            "testdb/testing/plugin.py",
            "    with suppress(ServerError), guard.cutting_after(TEARDOWN_SECONDS):\n"
            "        yield\n",
            "    yield\n",
            f"{STALLS}::test_ctrl_c_ends_a_run_whose_network_stalls",
        ),
        Mutant(
            "no network is ever given up",
            "testdb/postgres/guard.py",
            '    "tcp_user_timeout": "60000",\n',
            "",
            f"{STALLS}::test_every_connection_notices_that_its_network_has_gone",
        ),
    ),
    "What others have on a server is not even read": (
        Mutant(
            "a plan reads every database",
            "testdb/postgres/catalog.py",
            "starts_with(lower(datname), 'testdb_') OR",
            "true OR",
            f"{STRANGERS}::test_a_plan_and_a_drop_fetch_no_row_of_others",
        ),
        Mutant(
            "whoever wants one reads all",
            "testdb/postgres/catalog.py",
            'return _look(connection, prove, "datname = %s", name).entries',
            'return tuple(e for e in _look(connection, prove, "true").entries if e.name == name)',
            f"{STRANGERS}::test_a_plan_and_a_drop_fetch_no_row_of_others",
        ),
        Mutant(
            "a drop reads all",
            "testdb/postgres/catalog.py",
            "    return dict(connection.execute(query, [[str(name) for name in "
            "names]]).fetchall())",
            '    every = dict(connection.execute(query.partition(" '
            'WHERE")[0]).fetchall())\n'
            "    return {str(name): every[str(name)] for name in names if "
            "str(name) in every}",
            f"{STRANGERS}::test_a_plan_and_a_drop_fetch_no_row_of_others",
        ),
    ),
    "Generated code is formatted, lint-clean and typed, with no fixing pass": (
        Mutant(
            "a line that the formatter would change",
            "src/<<cookiecutter.package_name>>/health.py",
            'OK: Final = "ok"',
            "OK: Final = 'ok'",
            LINTED,
        ),
        Mutant(
            "an import that nobody uses",
            "src/<<cookiecutter.package_name>>/health.py",
            "from fastapi import APIRouter, Request, Response, status",
            "from fastapi import APIRouter, Body, Request, Response, status",
            LINTED,
        ),
        Mutant(
            "a wrong type",
            "src/<<cookiecutter.package_name>>/health.py",
            "Response) -> dict[str, str]:",
            "Response) -> dict[str, int]:",
            "test_bake.py::test_it_is_typed_as_generated",
        ),
    ),
    "Answers arrive as they were given, or are refused by one line each, and nothing is made": (
        Mutant(
            "quotes in an answer end its string",
            "pyproject.toml",
            """ | replace('"', '\\\\"') >>""",
            " >>",
            "test_bake.py::test_the_answers_arrive_as_they_were_given",
        ),
        Mutant(
            "modules of what a project depends on are free to be taken",
            PRE_GEN,
            "*MODULES.split(), ",
            "",
            ANSWER,
        ),
        Mutant(
            "whatever is not to be seen is text",
            PRE_GEN,
            "return char.isprintable() or",
            "return True or char.isprintable() or",
            ANSWER,
        ),
    ),
    "Sessions install what uv.lock holds, which fits every choice": (
        Mutant(
            "the lock is that of one project",
            "uv.lock",
            'name = "<< cookiecutter.project_slug >>"',
            'name = "my-service"',
            LOCK_FITS,
        ),
        Mutant(
            "pyproject.toml asks for what the lock does not have",
            "pyproject.toml",
            '"pytest>=8.4"',
            '"pytest>=8.4,<9"',
            LOCK_FITS,
        ),
        Mutant(
            "sessions take a lock that is not up to date",
            "noxfile.py",
            '"uv", "sync", *only',
            '"uv", "sync", "--frozen", *only',
            "test_lock.py::test_an_added_dependency_is_locked_by_the_next_session",
        ),
    ),
    "CI is sound, its actions are pinned, and each of its lines is run by a test": (
        Mutant(
            "an action is not pinned",
            ".github/workflows/sweep.yml",
            "astral-sh/setup-uv@20cfd1bf945f4377ade1205e4dbc17946fc9a30d # v10.0.1",
            "astral-sh/setup-uv@v10",
            SOUND,
        ),
        Mutant(
            "a workflow has all rights",
            ".github/workflows/sweep.yml",
            "permissions:\n  contents: read\n",
            "",
            SOUND,
        ),
        Mutant(
            "a session that there is not",
            ".github/workflows/ci.yml",
            "nox -s lint typecheck unit",
            "nox -s lint types unit",
            "test_ci.py::test_every_session_that_is_named_exists",
        ),
        Mutant(
            "groups shuffle each in their own way",
            "tests/conftest.py",
            "config.option.randomly_seed = 1",
            "pass",
            "test_ci.py::test_groups_share_all_tests_whatever_they_are_called",
        ),
    ),
    "The image is small, not root's and holds no secret; migrations come before the service": (
        Mutant(
            "the service is root",
            "Dockerfile",
            "USER 65534:65534\n",
            "",
            IMAGE,
        ),
        Mutant(
            "the image has all that builds it",
            "Dockerfile",
            "FROM python:3.13-slim\n",
            "FROM build\n",
            IMAGE,
        ),
        Mutant(
            "the service waits for no migration",
            "compose.yaml",
            "condition: service_completed_successfully",
            "condition: service_started",
            "test_container.py::test_the_service_starts_on_databases_that_are_there_and_migrated",
        ),
        Mutant(
            "a password is written down",
            "compose.yaml",
            "PGPASSWORD: ${POSTGRES_PASSWORD:?see .env.example}",
            "PGPASSWORD: secret",
            "test_container.py::test_no_secret_is_written_down",
        ),
    ),
    "A project follows the template from its release on; what both changed is a conflict": (
        Mutant(
            "the last hook makes a repository, also of what cruft only compares",
            POST_GEN,
            "if OUTPUT:",
            'os.system("git init --quiet")\nif OUTPUT:',
            FOLLOWS,
        ),
        Mutant(
            "files of another CI stay",
            POST_GEN,
            "    path.unlink()",
            "    return",
            FOLLOWS,
        ),
        Mutant(
            "files of the chosen CI go",
            POST_GEN,
            "if kind != CI:",
            "if kind == CI:",
            FOLLOWS,
        ),
    ),
    "A project that exists adopts testdb: none of its files is changed; "
    "its engine, env.py and tests stay as they are": (
        Mutant(
            "an engine made at import stays where it was",
            "../adopt/files/testdb/engines.py",
            "        if target := _target():",
            "        if (target := _target()) and False:",
            HAS_ALL,
        ),
        Mutant(
            "a pool keeps the connection to another database",
            "../adopt/files/testdb/engines.py",
            "    if (target := _target()) and connection.info.dbname",
            "    if (target := None) and connection.info.dbname",
            HAS_ALL,
        ),
        Mutant(
            "env.py cannot read the settings",
            "testdb/runs/migrations.py",
            "    with pointing_to({logical: url}), engine.connect() as connection:",
            "    with engine.connect() as connection:",
            HAS_ALL,
        ),
        Mutant(
            "files of theirs are written over",
            "../adopt/__main__.py",
            "if not (root / name).exists()}",
            "if True}",
            "test_adopt.py::test_nothing_of_theirs_is_changed_however_often",
        ),
        Mutant(
            "what git cannot bring back is replaced",
            "../adopt/changes.py",
            "        if not names:",
            "        if names:",
            "test_adopt.py::test_an_update_replaces_what_the_template_wrote",
        ),
        Mutant(
            "a failure leaves files",
            "../adopt/__main__.py",
            "        for path in reversed(done):",
            "        for path in ():",
            "test_adopt.py::test_a_refusal_is_one_line_and_nothing_is_written",
        ),
    ),
}
