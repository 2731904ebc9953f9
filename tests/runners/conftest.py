"""Fixtures that the tests of runners share; the conftest.py at the top checks for leaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Harness

MODULES = {
    "test_breakpoint", "test_deaths", "test_guardian", "test_launch", "test_multiprocess", "test_output",
    "test_processes", "test_stop", "test_stop_signals",
}  # fmt: skip

# All that these modules show of spawned processes has to be true of forked ones. Tests of the
# differences of the fork server always run with it, too; the others do in `make torture`.
ALWAYS_FORKED = {
    "test_a_process_takes_over_what_the_parent_is_but_no_open_file",
    "test_a_work_loads_no_more_than_it_needs",
    "test_a_script_without_a_main_guard_is_not_executed_again",
    "test_a_forked_child_of_a_work_holds_none_of_its_pipes_and_can_write_no_state",
    "test_the_stacks_of_a_work_are_shown_whatever_it_does",
    "test_works_are_process_objects_of_multiprocess",
    "test_a_work_and_its_app_have_process_objects_in_each_package",
    "test_a_work_that_shares_nothing_loads_nothing_for_it",
    "test_a_process_that_was_prepared_for_descriptors_starts_without",
    "test_works_start_while_the_flow_is_busy",
    "test_close_ends_what_is_just_being_started",
    "test_a_death_in_a_call_is_reported_with_its_exit_code",
    "test_a_death_before_the_process_has_loaded_anything_is_reported",
    "test_a_death_is_reported_although_a_forked_child_holds_the_pipes",
    "test_a_killed_work_leaves_none_of_its_children",
    "test_the_others_lose_nothing_when_one_dies_and_dies_again",
    "test_every_kill_is_reported_at_any_moment",
    "test_a_work_that_does_not_listen_is_killed_when_its_time_is_over",
    "test_a_work_is_stopped_while_it_starts",
    "test_close_keeps_its_time_with_works_of_every_kind",
    "test_works_started_from_short_threads_live_on",
    "test_an_environment_that_can_not_be_fails_to_start",
    "test_a_killed_flow_leaves_nothing_whatever_its_works_do",
    "test_a_flow_killed_while_its_works_start_leaves_nothing",
}

# These are about a fresh interpreter or processes that are the flow's own children, or use both methods.
ONLY_SPAWNED = {
    "test_closed_standard_streams_have_no_effect",
    "test_a_death_is_reported_although_other_code_waits_for_all_children",
    "test_a_limit_of_the_machine_is_named_and_others_start",
    "test_a_process_that_the_flow_forks_leaves_its_works_alone",
    "test_everything_works_without_pidfds",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.function.__name__
    if metafunc.module.__name__ in MODULES and name not in ONLY_SPAWNED:
        forked = pytest.param("forkserver", marks=() if name in ALWAYS_FORKED else pytest.mark.torture)
        metafunc.parametrize("start_method", ["spawn", forked], indirect=True)


@pytest.fixture(autouse=True)
def start_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How processes come into being, also in the programs that the test runs."""
    method = getattr(request, "param", "spawn")
    monkeypatch.setenv("LIGHTNING_LITE_START_METHOD", method)
    return method


@pytest.fixture
def harness(tmp_path) -> Iterator[Harness]:
    harness = Harness(str(tmp_path))
    yield harness
    harness.runner.close(5.0)
