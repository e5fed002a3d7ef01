"""The areas whose tests are tried: where an unseen fault costs a person work or money."""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """Sources that belong together; `tests` are those of them, the nearest first.

    `programs` are the tests that start the program, for what no test reaches in its own process.
    """

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    programs: tuple[str, ...] = ()


AREAS = (
    Area(
        "store",
        (
            "store/queue.py",
            "store/vault.py",
            "store/database.py",
            "store/migrations/__init__.py",
            "store/serving.py",
            "store/inputs.py",
        ),
        (
            "tests/store/test_queue.py",
            "tests/store/test_vault.py",
            "tests/store/test_database.py",
            "tests/store/test_migrations.py",
            "tests/store/test_serving.py",
            "tests/store/test_inputs.py",
            "tests/store/test_transactions.py",
        ),
        ("tests/store/test_verification_runs.py",),
    ),
    Area(
        "worker",
        (
            "engines/worker/job.py",
            "engines/worker/worker.py",
            "engines/worker/process.py",
            "engines/worker/program.py",
            "engines/worker/runs.py",
        ),
        ("tests/engines/worker",),
        ("tests/journeys/test_main_job.py", "tests/journeys/test_upgrade.py"),
    ),
    Area(
        "verify",
        ("engines/verify.py",),
        ("tests/engines/test_verify.py", "tests/engines/test_thinning.py"),
        ("tests/journeys/test_verdicts.py",),
    ),
    Area(
        "services",
        (
            "engines/remote.py",
            "engines/stability/answers.py",
            "engines/stability/engine.py",
            "engines/stability/errors.py",
            "engines/stability_rest/answers.py",
            "engines/stability_rest/engine.py",
        ),
        (
            "tests/engines/test_remote.py",
            "tests/engines/stability_rest/test_answers.py",
            "tests/engines/stability_rest/test_connection.py",
            "tests/engines/stability_rest/test_replies.py",
            "tests/engines/stability_rest/test_failures.py",
            "tests/engines/stability_rest/test_engine.py",
            "tests/engines/stability/test_engine.py",
            "tests/engines/stability/test_errors.py",
            "tests/engines/stability/test_connection.py",
            "tests/engines/stability/test_previews.py",
            "tests/engines/stability/test_recorded.py",
        ),
        ("tests/engines/stability/test_faults.py",),
    ),
    Area(
        "budget",
        ("engines/cost.py", "store/charges.py"),
        (
            "tests/engines/test_cost.py",
            "tests/engines/test_budget.py",
            "tests/engines/worker/test_life.py",
        ),
    ),
    Area(
        "key",
        ("engines/keys.py", "tui/cli/account.py"),
        (
            "tests/engines/test_keys.py",
            "tests/engines/test_settings.py",
            "tests/tui/cli/test_account.py",
        ),
        ("tests/journeys/test_account.py",),
    ),
    Area(
        "filter",
        ("tui/text.py", "tui/terminal/filter.py"),
        (
            "tests/tui/test_text.py",
            "tests/tui/terminal/test_filter.py",
            "tests/tui/cli/test_damaged.py",
        ),
        ("tests/tui/terminal/test_terminal.py",),
    ),
    Area(
        "options",
        ("tui/cli/options.py", "tui/cli/inputs.py"),
        (
            "tests/tui/cli/test_inputs.py",
            "tests/tui/cli/test_arguments.py",
            "tests/tui/cli/test_command_line.py",
        ),
    ),
    Area(
        "drafts",
        ("tui/compose/draft.py", "store/sessions.py", "tui/seeds.py"),
        (
            "tests/tui/compose/test_draft.py",
            "tests/tui/compose/test_editor.py",
            "tests/store/test_sessions.py",
            "tests/store/test_damaged_rows.py",
            "tests/tui/test_seeds.py",
        ),
        ("tests/tui/compose/test_restore.py", "tests/tui/compose/test_recall.py"),
    ),
)
