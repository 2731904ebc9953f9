"""The rules of a resume: which calls are taken over or run again. Each test builds the app again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lightning_lite import CloudCompute, LightningApp, LightningFlow, LightningWork
from lightning_lite.app import session
from lightning_lite.clock import ManualClock
from lightning_lite.engine.history import read_history
from lightning_lite.errors import AppFailed, JournalMismatch, NothingToResume, PoisonCall
from lightning_lite.messages import RunCall
from lightning_lite.runners.inline.runner import InlineRunner
from lightning_lite.sockets import find_free_port
from lightning_lite.storage import Path as StoredPath
from lightning_lite.tree.structures import Dict, List

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import finish

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


class Step(LightningWork):
    """Records that it ran, and fails if its argument says so."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = {}
        self.total = 0

    def run(self, what, fails=False):
        ran.append(what)
        if fails:
            raise ValueError(f"no {what}")
        self.table[what] = len(what)
        self.total += 1
        return [what]


class Scripted(LightningFlow):
    """A flow whose `run` is a function of the test."""

    def __init__(self, script, **attributes):
        super().__init__()
        self._script = script
        for name, value in attributes.items():
            setattr(self, name, value)

    def run(self):
        self._script(self)


class End(Exception):
    """Raised by a flow to end its app."""


def start(script, resume=False, retry_failed=False, clock=None, **attributes):
    """Run an app until its end; return its root, and its error or `None`."""
    root, error = Scripted(script, **attributes), None
    app = LightningApp(root, clock=clock)
    try:
        app.run("inline", resume=resume, retry_failed=retry_failed)
    except (End, ValueError, AppFailed) as raised:
        error = raised
    return root, error


def last_run():
    return max(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs").iterdir()).name


def test_values_state_statuses_and_counters_are_restored():
    def first(flow):
        flow.seen = [*flow.step.run("a"), *flow.step.run("bb")]
        flow.step.total = 40
        raise End

    def second(flow):
        views.append((flow.step.status, flow.step.table, flow.step.total, flow.step.num_successes, flow.seen))
        flow.step.run("bb")
        flow.step.run("ccc")
        flow.stop()

    views = []
    before, _ = start(first, step=Step(), seen=[])
    after, error = start(second, resume=True, step=Step(), seen=[])

    assert error is None
    assert ran == ["a", "bb", "ccc"]
    # Writes of a pass that raised are not taken over.
    assert views[0] == (before.step.status, {"a": 1, "bb": 2}, 2, 2, [])
    assert after.step.table == {"a": 1, "bb": 2, "ccc": 3}
    assert after.step.total == after.step.num_successes == 3


def test_writes_of_a_pass_are_restored_and_a_pass_that_raised_is_repeated():
    def script(flow):
        flow.passes += 1
        flow.items.append(flow.passes)
        flow.step.run("a")
        if not fixed:
            raise End
        flow.stop()

    fixed = []
    start(script, step=Step(), passes=0, items=[])
    fixed.append(True)
    after, _ = start(script, resume=True, step=Step(), passes=0, items=[])

    assert ran == ["a"]
    assert after.items == list(range(1, after.passes + 1))


def test_the_failure_that_ended_the_app_is_run_again():
    def script(flow):
        flow.step.run("a")
        flow.step.run("b", fails=True)
        flow.stop()

    _, error = start(script, step=Step())
    _, again = start(script, resume=True, step=Step())

    assert str(error) == str(again) == "no b"
    assert ran == ["a", "b", "b"]


def test_a_failed_call_stays_failed_unless_retry_failed_is_given():
    def script(flow):
        flow.step.run("a", fails=True)
        flow.fail(f"{flow.step.has_failed} {flow.step.num_failures} {flow.step.status.message}")

    failure = "ValueError: no a in root.step.run('a', fails=True)"
    first = start(script, step=Step(raise_exception=False))[1]
    second = start(script, resume=True, step=Step(raise_exception=False))[1]
    assert str(first) == str(second) == f"True 1 {failure}"
    assert ran == ["a"]

    third = start(script, resume=True, retry_failed=True, step=Step(raise_exception=False))[1]
    assert str(third) == f"True 2 {failure}"
    assert ran == ["a", "a"]


def test_an_answer_without_a_cache_is_given_once_across_resumes():
    def script(flow):
        flow.answers = [*flow.answers, flow.step.run("a")]
        if len(flow.answers) == wanted[0]:
            raise End
        if len(flow.answers) == 5:
            flow.stop()

    wanted = [3]
    start(script, step=Step(cache_calls=False), answers=[])
    assert ran == ["a"] * 3
    wanted[0] = 9
    after, _ = start(script, resume=True, step=Step(cache_calls=False), answers=[])

    assert ran == ["a"] * 5
    assert after.answers == [["a"]] * 5
    assert after.step.num_successes == 5


def test_a_used_answer_without_a_cache_is_not_given_again():
    def script(flow):
        flow.answers = [*flow.answers, flow.step.run("a")]
        flow.fail()

    start(script, step=Step(cache_calls=False), answers=[])
    after, _ = start(script, resume=True, step=Step(cache_calls=False), answers=[])

    assert ran == ["a", "a"]
    assert after.answers == [["a"], ["a"]]


def test_dynamic_works_get_their_state_when_they_are_created_again():
    def script(flow):
        for name in ("x", "y"):
            if name not in flow.steps:
                flow.steps[name] = Step()
            flow.steps[name].run(name)
        flow.late = flow.steps["y"].total
        flow.fail()

    start(script, steps=Dict(), late=0)
    after, _ = start(script, resume=True, steps=Dict(), late=0)

    assert ran == ["x", "y"]
    assert [work.table for work in after.steps.values()] == [{"x": 1}, {"y": 1}]
    assert after.late == 1


class Tagged(Step):
    def __init__(self, tag):
        super().__init__()
        self.tag = tag


def test_components_that_are_added_to_a_list_again_have_their_names_again():
    """The list numbers added components: without the numbers of before, `c` would get the records of `b`."""

    def script(flow):
        for step in [step for step in flow.steps if step.tag not in flow.tags]:
            flow.steps.remove(step)
        for tag in flow.tags:
            if tag not in [step.tag for step in flow.steps]:
                flow.steps.append(Tagged(tag))
        flow.found = {step.name: step.run(step.tag) for step in flow.steps}
        if flow.tags == ["a", "b", "c"]:
            flow.tags = ["a", "c", "d"]
        elif len(flow.tags) == 3:
            flow.fail()
        else:
            flow.stop()

    before, _ = start(script, steps=List(), tags=["a", "b", "c"], found={})
    assert before.found == {"root.steps.0": ["a"], "root.steps.2": ["c"], "root.steps.3": ["d"]}
    after, _ = start(script, resume=True, steps=List(), tags=["a", "b", "c"], found={})

    assert ran == ["a", "b", "c", "d"]
    assert after.found == before.found
    assert [step.table for step in after.steps] == [{"a": 1}, {"c": 1}, {"d": 1}]

    after.steps.append(Tagged("e"))
    assert after.steps[-1].name == "root.steps.4"


@pytest.mark.parametrize("order", ["abc", "cab"])
def test_components_have_their_names_again_if_removed_ones_are_added_again_too(order):
    def script(flow):
        if not flow.steps:
            flow.steps.extend([Tagged(tag) for tag in flow.order])
        flow.found = {step.tag: (step.name, step.run(step.tag)) for step in flow.steps}
        if flow.phase == 0:
            flow.phase = 1
            flow.steps.pop(1)
            flow.fail()
        flow.stop()

    start(script, steps=List(), order="abc", phase=0, found={})
    after, _ = start(script, resume=True, steps=List(), order=order, phase=0, found={})

    number = {step.tag: step.name for step in after.steps}
    assert number == {"a": "root.steps.0", "b": "root.steps.3", "c": "root.steps.2"}
    assert ran == ["a", "b", "c", "b"]


def test_a_component_without_an_equal_one_before_is_new_and_gets_no_foreign_answer():
    def script(flow):
        for tag in flow.order:
            if tag not in [step.tag for step in flow.steps]:
                flow.steps.append(Tagged(tag))
        flow.found = {step.tag: (step.name, step.run(step.tag)) for step in flow.steps}
        flow.fail()

    start(script, steps=List(), order="ab", found={})
    after, _ = start(script, resume=True, steps=List(), order="nba", found={})

    assert after.found == {
        "n": ("root.steps.2", ["n"]),
        "b": ("root.steps.1", ["b"]),
        "a": ("root.steps.0", ["a"]),
    }
    assert ran == ["a", "b", "n"]


class Serving(Step):
    """Has values that differ in each run, and are not compared."""

    def __init__(self, tag):
        super().__init__(port=find_free_port("127.0.0.1"))
        self.tag = tag
        self.compute = CloudCompute("gpu")
        self.path = StoredPath("results")


def test_values_that_differ_in_each_run_are_not_compared():
    Path("results").touch()

    def script(flow):
        if not flow.steps:
            flow.steps.extend([Serving(tag) for tag in "abc"[flow.phase :]])
        flow.found = [(step.name, step.run(step.tag)) for step in flow.steps]
        if flow.phase == 0:
            flow.phase = 1
            del flow.steps[0]
        flow.fail()

    start(script, steps=List(), phase=0, found=[])
    after, _ = start(script, resume=True, steps=List(), phase=0, found=[])

    assert after.found == [("root.steps.1", ["b"]), ("root.steps.2", ["c"])]
    assert ran == ["a", "b", "c"]


def test_a_list_in_a_list_has_its_name_again_if_its_members_are_the_same():
    def script(flow):
        if not flow.steps:
            flow.steps.extend([List(Tagged("a")), Dict(x=Tagged("b")), List(Tagged("c"), Tagged("d"))])
        flow.found = {work.tag: (work.name, work.run(work.tag)) for work in flow.works()}
        if flow.phase == 0:
            flow.phase = 1
            del flow.steps[0]
        flow.fail()

    start(script, steps=List(), phase=0, found={})
    after, _ = start(script, resume=True, steps=List(), phase=0, found={})

    assert {tag: name for tag, (name, _) in after.found.items()} == {
        "a": "root.steps.3.0",
        "b": "root.steps.1.x",
        "c": "root.steps.2.0",
        "d": "root.steps.2.1",
    }
    assert {tag: answer for tag, (_, answer) in after.found.items()} == {tag: [tag] for tag in "abcd"}
    assert ran == ["a", "b", "c", "d", "a"]


@pytest.mark.parametrize(
    ("make", "add"),
    [
        (lambda: List(Tagged("a")), lambda group: None if len(group) > 1 else group.append(Tagged("b"))),
        (List, lambda group: group.extend([] if group else [Tagged("a"), Tagged("b")])),
        (Dict, lambda group: group.update({} if group else {"x": Tagged("a"), "y": Tagged("b")})),
    ],
    ids=["a list that grows", "an empty list", "an empty dict"],
)
def test_a_list_or_dict_in_a_list_is_found_by_the_members_that_it_has_when_it_is_added(make, add):
    def script(flow):
        if not flow.groups:
            flow.groups.append(make())
        add(flow.groups[0])
        flow.found = [(work.name, work.run(work.tag)) for work in flow.works()]
        flow.fail()

    before, _ = start(script, groups=List(), found=[])
    after, _ = start(script, resume=True, groups=List(), found=[])

    assert after.found == before.found
    assert ran == ["a", "b"]


def test_a_member_whose_class_has_lost_an_attribute_is_found(monkeypatch):
    def script(flow):
        if not flow.steps:
            flow.steps.extend([Tagged("a"), Tagged("b")])
        flow.found = [(work.name, work.run(work.tag)) for work in flow.works()]
        flow.fail()

    create = Tagged.__init__

    def create_with_more(self, tag):
        create(self, tag)
        self.more = 1

    with monkeypatch.context() as patch:
        patch.setattr(Tagged, "__init__", create_with_more)
        before, _ = start(script, steps=List(), found=[])
    after, _ = start(script, resume=True, steps=List(), found=[])

    assert after.found == before.found
    assert ran == ["a", "b"]


class Trial(LightningFlow):
    """Has no attributes of its own, but a work with some."""

    def __init__(self, tag):
        super().__init__()
        self.step = Tagged(tag)
        self.more = List()

    def run(self):
        if not self.more:
            self.more.append(Tagged("more"))
        return self.step.run(self.step.tag)


def test_flows_in_a_list_are_distinguished_by_their_works():
    def script(flow):
        if not flow.trials:
            flow.trials.extend([Trial(tag) for tag in "abc"])
        flow.found = {trial.step.tag: (trial.name, trial.run()) for trial in flow.trials}
        if flow.phase == 0:
            flow.phase = 1
            del flow.trials[0]
        flow.fail()

    start(script, trials=List(), phase=0, found={})
    after, _ = start(script, resume=True, trials=List(), phase=0, found={})

    assert after.found == {
        "a": ("root.trials.3", ["a"]),
        "b": ("root.trials.1", ["b"]),
        "c": ("root.trials.2", ["c"]),
    }
    assert ran == ["a", "b", "c", "a"]


def test_a_dict_may_be_a_list_after_a_resume():
    start(lambda flow: flow.fail(), steps=Dict({"0": Tagged("a"), "b": Tagged("b")}))
    after, _ = start(lambda flow: (flow.steps.append(Tagged("a")), flow.fail()), resume=True, steps=List())

    assert [step.name for step in after.steps] == ["root.steps.0"]


class Unlike(Step):
    """Another class."""


def test_a_component_of_another_class_may_follow_a_removed_one():
    def script(flow):
        if flow.phase == 0:
            if not flow.steps:
                flow.steps.append(Tagged("a"))
            flow.steps[0].run("a")
            flow.steps.clear()
            flow.phase = 1
        if not flow.steps:
            flow.steps.append(Unlike())
        flow.found = [(step.name, step.run("other")) for step in flow.steps]
        flow.fail()

    start(script, steps=List(), phase=0, found=[])
    after, _ = start(script, resume=True, steps=List(), phase=0, found=[])

    assert after.found == [("root.steps.1", ["other"])]
    assert ran == ["a", "other"]


def test_a_new_work_does_not_inherit_from_a_removed_one_with_its_name():
    def script(flow):
        if flow.phase == 0:
            if "x" not in flow.steps:
                flow.steps["x"] = Step()
            flow.steps["x"].run("old")
            del flow.steps["x"]
            flow.phase = 1
        if "x" not in flow.steps:
            flow.steps["x"] = Step()
        flow.steps["x"].run("new")
        flow.fail()

    start(script, steps=Dict(), phase=0)
    after, _ = start(script, resume=True, steps=Dict(), phase=0)

    assert ran == ["old", "new"]
    assert after.steps["x"].table == {"new": 3}
    assert after.steps["x"].num_successes == 1


def test_a_call_of_a_renamed_work_is_remembered_under_its_new_name():
    def script(flow):
        if "x" in flow.steps:
            flow.steps["x"].run("a")
            flow.steps["y"] = flow.steps.pop("x")
        if flow.steps["y"].run("a"):
            flow.fail()

    start(script, steps=Dict(x=Step(parallel=True)))
    after, _ = start(script, resume=True, steps=Dict(y=Step(parallel=True)))

    assert ran == ["a"]
    assert after.steps["y"].num_successes == 1


def test_a_used_answer_of_a_renamed_work_does_not_affect_a_resume():
    def script(flow):
        if flow.steps["x"].call("a") and flow.steps["x"].call("a").ended:
            flow.steps["y"] = flow.steps.pop("x")
            flow.answers = flow.steps["y"].run("a")
        elif "y" not in flow.steps:
            flow.steps["x"].run("a")

    def until_the_answer(flow):
        if flow.answers:
            flow.fail()
        script(flow)

    start(until_the_answer, steps=Dict(x=Step(cache_calls=False)), answers=[])
    after, _ = start(until_the_answer, resume=True, steps=Dict(x=Step(cache_calls=False)), answers=[])

    assert ran == ["a"]
    assert after.answers == ["a"]


def test_other_calls_and_attributes_in_the_source_may_change():
    start(lambda flow: flow.step.run("a") and flow.fail(), step=Step(), gone=1, kept=2)

    def script(flow):
        flow.step.run("b")
        flow.step.run("a")
        flow.other.run("c")
        flow.stop()

    after, error = start(script, resume=True, step=Step(), other=Step(), kept=3, new=4)

    assert error is None
    assert ran == ["a", "b", "c"]
    assert (after.kept, after.new) == (3, 4)


def test_schedules_and_loops_continue():
    def script(flow):
        if flow.schedule("hourly", timezone="UTC"):
            flow.events += 1
        for item in flow.experimental_iterate("abc"):
            flow.items = [*flow.items, item]
            if item == stop_at[0]:
                flow.fail()
        flow.stop()

    clock, stop_at = ManualClock(), ["b"]
    start(script, clock=clock, events=0, items=[])
    stop_at[0] = "c"
    soon, _ = start(script, resume=True, clock=clock, events=0, items=[])
    assert (soon.events, soon.items) == (1, ["a", "b", "b", "c"])

    clock.advance(5 * 3600.0)
    stop_at[0] = ""
    late, _ = start(script, resume=True, clock=clock, events=0, items=[])
    assert (late.events, late.items) == (2, ["a", "b", "b", "c", "c"])


def test_a_work_that_the_flow_has_stopped_stays_stopped():
    def script(flow):
        flow.step.run("a")
        if flow.step.has_succeeded and not flow.step.has_stopped:
            flow.step.stop()
            return
        flow.seen = [*flow.seen, flow.step.status.stage]
        flow.fail()

    start(script, step=Step(), seen=[])
    after, _ = start(script, resume=True, step=Step(), seen=[])

    assert after.seen == ["stopped", "stopped"]
    assert ran == ["a"]


def test_a_new_run_after_the_class_of_the_root_was_renamed_names_the_earlier_one(capfd):
    def script(flow):
        flow.step.run("a")
        flow.fail()

    class Renamed(Scripted):
        pass

    start(script, step=Step())
    run = last_run()

    with pytest.raises(AppFailed):
        LightningApp(Renamed(script, step=Step())).run("inline", resume=True)

    printed = capfd.readouterr().err
    assert (
        f"The run {run} there is of {__name__}:Scripted, and this app is {__name__}:test_a_new_run" in printed
    )
    assert "restore the name of the class or the path of the script to resume it" in printed
    assert ran == ["a", "a"]


def test_a_new_run_after_the_script_was_moved_names_the_earlier_one(forked_scripts: ForkedScripts):
    (before := Path("before/app.py").absolute()).parent.mkdir()
    before.write_text(textwrap.dedent(USED_VALUES.format(size=1)))
    assert forked_scripts.run_to_end(before).returncode == -signal.SIGKILL
    run = last_run()

    after = before.parent.rename("after") / "app.py"
    done = forked_scripts.run_to_end(after.absolute())

    assert f"The run {run} there is of {before}:Flow, and this app is {after.absolute()}:Flow" in done.stderr


def test_a_run_that_its_flow_has_stopped_is_resumed_only_by_its_id(capfd):
    def script(flow):
        flow.step.run("a")
        flow.stop()

    start(script, step=Step())
    run = last_run()
    start(script, resume=True, step=Step())
    assert ran == ["a", "a"]
    assert f"nothing to resume for Scripted in {os.environ['LIGHTNING_LITE_ROOT']}" in capfd.readouterr().err

    start(script, resume=run, step=Step())
    assert ran == ["a", "a"]
    assert f"Run {run} is resumed: completed calls: 1, calls" in capfd.readouterr().err


def test_a_resumed_run_keeps_its_id_and_its_folder():
    start(lambda flow: flow.fail(), step=Step())
    run = last_run()
    start(lambda flow: flow.fail(), resume=True, step=Step())
    start(lambda flow: flow.stop(), resume=run, step=Step())

    assert last_run() == run
    details = json.loads(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", run, "run.json").read_text())
    assert details["state"] == "stopped"


@pytest.mark.parametrize("run", ["20200101-000000000-abcdef", "../runs", "no such run"])
def test_an_unknown_run_is_refused_by_name(run):
    with pytest.raises(NothingToResume, match=f"there is no run '{run}'"):
        start(lambda flow: flow.stop(), resume=run)
    assert not Path(os.environ["LIGHTNING_LITE_ROOT"], "runs").exists()


class Other(Scripted):
    pass


def test_another_app_can_not_resume_the_run():
    start(lambda flow: flow.fail())
    run = last_run()

    with pytest.raises(JournalMismatch, match="Scripted"):
        LightningApp(Other(lambda flow: flow.stop())).run("inline", resume=run)
    LightningApp(Other(lambda flow: flow.stop())).run("inline", resume=True)

    assert last_run() != run


class Different(Step):
    pass


def test_a_work_of_another_class_is_refused_by_both_names():
    start(lambda flow: flow.step.run("a") and flow.fail(), step=Step())

    with pytest.raises(JournalMismatch, match=r"root\.step is a .*\.Step; .* is a .*\.Different\."):
        start(lambda flow: flow.stop(), resume=True, step=Different())


def test_a_resume_removes_old_runs_but_not_its_own(monkeypatch):
    start(lambda flow: flow.fail())
    run, runs = last_run(), Path(os.environ["LIGHTNING_LITE_ROOT"], "runs")
    for number in range(120):
        newer = runs / f"20991231-{number:09}-abcdef"
        newer.mkdir()
        (newer / "run.json").write_text(json.dumps({"state": "failed"}))
        (newer / "journal.log").write_text("")
        for path in (newer, *newer.iterdir()):
            os.utime(path, (0, 0))
    for path in (runs / run).rglob("*"):
        os.utime(path, (0, 0))

    start(lambda flow: flow.stop(), resume=run)

    assert (runs / run).exists()
    assert len(list(runs.iterdir())) < 121


# Processes that are really killed.

SCRIPT = """
    import os, signal, sys, threading
    from lightning_lite import CloudCompute, LightningApp, LightningFlow, LightningWork

    class Deadly(LightningWork):
        def run(self):
            with open("ran.txt", "a") as file:
                file.write("signal_to_send\\n")
            if not os.path.exists("antidote"):
                os.kill(int(os.environ["FLOW"]), signal.SIGKILL)
                threading.Event().wait()

    class Cut(LightningWork):
        def run(self):
            with open("ran.txt", "a") as file:
                file.write("cut\\n")
            if not os.path.exists("antidote"):
                print("waiting", flush=True)
                threading.Event().wait()

    class Fails(LightningWork):
        def __init__(self):
            super().__init__(raise_exception=False)
        def run(self):
            with open("ran.txt", "a") as file:
                file.write("fails\\n")
            raise ValueError

    class Big(LightningWork):
        def run(self, number):
            return Answer(number)

    class Answer:
        def __init__(self, number):
            self.number, self.fill = number, bytes([number]) * 1_000_000
        def __setstate__(self, state):
            print("read", state["number"], flush=True)
            self.__dict__.update(state)

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = globals()[sys.argv[1]]()
        def run(self):
            if sys.argv[1] == "Big":
                calls = [self.work.run(number) for number in range(3 if len(sys.argv) > 2 else 1, 4)]
                if len(sys.argv) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                assert all(type(answer) is Answer for answer in calls)
            else:
                self.work.run()
            if self.work.has_failed and not os.path.exists("antidote"):
                os.kill(os.getpid(), signal.SIGKILL)
            self.stop("the end")

    os.environ["FLOW"] = str(os.getpid())
    LightningApp(Flow()).run(resume=True, retry_failed="retry" in sys.argv)
"""


def run_app(forked_scripts: ForkedScripts, *arguments: str) -> tuple[int, str, str]:
    """Run the script, and return its exit code, its output and its error output."""
    app = Path("app.py").absolute()
    app.write_text(textwrap.dedent(SCRIPT))
    done = forked_scripts.run_to_end(app, *arguments)
    return done.returncode, done.stdout, done.stderr


def files_of_big_values() -> list[Path]:
    """Return the files of the values of `Big`, in the order of their numbers, which fill them.

    Their names are random, and their times are equal if the system has counted no tick in between.
    """
    files = Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/values/*.bin")
    return sorted(files, key=lambda file: file.read_bytes()[500_000])


def launch(*arguments):
    Path("app.py").write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, "app.py", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_call_that_killed_the_flow_at_least_three_times_is_refused_with_advice(
    forked_scripts: ForkedScripts,
):
    times = 0
    while (done := run_app(forked_scripts, "Deadly"))[0] == -signal.SIGKILL:
        times += 1
        assert times <= 4

    code, _, err = done
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(
        f"{PoisonCall.__module__}.PoisonCall: The flow died 3 times in a row within seconds"
    )
    assert "root.work" in last
    assert "retry_failed=True" in last
    assert "the option --retry-failed of lightning-lite resume" in last
    assert Path("ran.txt").read_text() == "signal_to_send\n" * times
    assert times >= 3  # the first process may die before it has recorded the call
    assert run_app(forked_scripts, "Deadly")[2].splitlines()[-1] == last, "a refusal is no end in order"

    Path("antidote").touch()
    code, out, err = run_app(forked_scripts, "Deadly", "retry")
    assert (code, out) == (0, "the end\n"), err


def test_a_call_that_ctrl_c_interrupted_is_run_again_any_number_of_times(forked_scripts: ForkedScripts):
    for _ in range(3):  # a flow that is killed as often is refused
        process = launch("Cut")
        assert process.stdout.readline() == "root.work | waiting\n"
        process.send_signal(signal.SIGINT)
        finish(process)

    Path("antidote").touch()
    code, out, err = run_app(forked_scripts, "Cut")
    assert (code, out) == (0, "the end\n"), err
    assert "completed calls: 0, calls that run again when the flow requests them: 1." in err
    assert Path("ran.txt").read_text() == "cut\n" * 4


def test_a_failed_call_is_recorded_before_the_flow_sees_it(forked_scripts: ForkedScripts):
    assert run_app(forked_scripts, "Fails")[0] == -signal.SIGKILL
    Path("antidote").touch()

    code, out, err = run_app(forked_scripts, "Fails")

    assert (code, out) == (0, "the end\n"), err
    assert Path("ran.txt").read_text() == "fails\n"


def test_a_big_value_is_read_when_it_is_used_as_an_instance_of_the_scripts_class(
    forked_scripts: ForkedScripts,
):
    assert run_app(forked_scripts, "Big")[0] == -signal.SIGKILL
    values = files_of_big_values()
    assert len(values) == 3
    for value in values[:2]:
        value.write_bytes(bytes(value.stat().st_size))  # a reader of these detects it

    code, out, err = run_app(forked_scripts, "Big", "the last one only")

    assert (code, out) == (0, "read 3\nthe end\n"), err


def test_a_damaged_big_value_is_refused_by_name_when_it_is_used(forked_scripts: ForkedScripts):
    assert run_app(forked_scripts, "Big")[0] == -signal.SIGKILL
    values = files_of_big_values()
    values[0].write_bytes(bytes(values[0].stat().st_size))

    code, _, err = run_app(forked_scripts, "Big")

    assert code == 1
    assert f"lightning_lite.errors.JournalCorrupt: the value {str(values[0])!r}" in err.splitlines()[-1]


def test_a_call_whose_request_was_interrupted_is_recorded(monkeypatch):
    interrupted = []

    def send(self, request, send=InlineRunner.send):
        send(self, request)
        if isinstance(request, RunCall) and not interrupted:
            interrupted.append(request.key)
            raise KeyboardInterrupt  # as Ctrl-C, which `send` defers until the request is out

    monkeypatch.setattr(InlineRunner, "send", send)

    def script(flow):
        flow.what = flow.step.run("a")
        flow.stop()

    with pytest.raises(KeyboardInterrupt):
        start(script, step=Step(), what=None)

    (call,) = (
        read_history(str(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", last_run())))
        .works["root.step"]
        .calls
    )
    assert [call.record.key] == interrupted
    root, error = start(script, resume=True, step=Step(), what=None)
    assert (root.what, error) == (["a"], None)


def test_a_failure_is_reported_before_the_next_call_is_sent(monkeypatch):
    order = []

    def send(self, request, send=InlineRunner.send):
        if isinstance(request, RunCall):
            order.append(f"call {request.key}")
        send(self, request)

    def report(*arguments):
        order.append("report")

    monkeypatch.setattr(InlineRunner, "send", send)
    monkeypatch.setattr(session, "report_failure", report)

    def script(flow):
        flow.step.run("a", fails=True)
        flow.step.run("b")
        if flow.step.num_successes:
            flow.stop()

    start(script, step=Step(parallel=True, raise_exception=False))

    first, reported, second = order
    assert reported == "report"
    assert first != second


USED_VALUES = """
    import os, signal
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Work(LightningWork):
        def run(self, number):
            return bytes([number]) * {size}

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Work(cache_calls=False)
            self.number = 0
        def run(self):
            while self.number < 12:
                assert self.work.run(self.number)[0] == self.number
                self.number += 1
                if self.number in (4, 8) and not os.path.exists(f"killed at {{self.number}}"):
                    open(f"killed at {{self.number}}", "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
            self.stop("the end")

    LightningApp(Flow()).run(resume=True)
"""


@pytest.mark.parametrize("size", [70_000, 2_000_000])
def test_a_run_with_released_values_is_resumed_again(forked_scripts: ForkedScripts, size: int):
    app = Path("app.py").absolute()
    app.write_text(textwrap.dedent(USED_VALUES.format(size=size)))

    codes = [forked_scripts.run_to_end(app).returncode for _ in range(4)]

    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]


FULL_DISK = """
    import glob, os, resource
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Work(LightningWork):
        def run(self, number):
            return bytes([number]) * 2_000_000

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Work(parallel=True, cache_calls=False)
        def run(self):
            for number in (1, 2):
                if self.work.call(number) is None:
                    self.work.run(number)
            if not all(call.ended for call in map(self.work.call, (1, 2))):
                return
            if not os.path.exists("was full"):
                open("was full", "w").close()
                (journal,) = glob.glob(os.environ["LIGHTNING_LITE_ROOT"] + "/runs/*/journal.log")
                resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(journal), resource.RLIM_INFINITY))
            self.stop([len(self.work.run(number)) for number in (1, 2)])

    LightningApp(Flow()).run(resume=True)
"""


def test_a_value_stays_if_its_use_could_not_be_recorded_on_a_full_disk(forked_scripts: ForkedScripts):
    app = Path("app.py").absolute()
    app.write_text(textwrap.dedent(FULL_DISK))

    full, resumed = forked_scripts.run_to_end(app), forked_scripts.run_to_end(app)

    assert full.returncode == 1
    assert "JournalError" in full.stderr
    assert (resumed.returncode, resumed.stdout.splitlines()[-1:]) == (0, ["[2000000, 2000000]"]), (
        resumed.stderr
    )


#: An app whose call leaves no space for its end, with the runner `inline`.
FULL_AFTER_SENDING = """\
    import glob, os, resource, signal
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Work(LightningWork):
        def run(self):
            if os.path.exists("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            if not os.path.exists("space"):
                (journal,) = glob.glob(os.environ["LIGHTNING_LITE_ROOT"] + "/runs/*/journal.log")
                resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(journal), resource.RLIM_INFINITY))
            return "done"

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Work()
        def run(self):
            self.stop(self.work.run())

    try:
        LightningApp(Flow()).run(resume=True, runner="inline")
    finally:  # standard error is a file, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.fixture
def full_app() -> Path:
    app = Path("app.py").absolute()
    app.write_text(textwrap.dedent(FULL_AFTER_SENDING))
    return app


def test_an_end_that_a_full_disk_can_not_record_is_no_death(forked_scripts: ForkedScripts, full_app: Path):
    for number in range(6):
        full = forked_scripts.run_to_end(full_app)
        assert full.returncode == 1
        assert "JournalError: the journal" in full.stderr, (number, full.stderr)
        assert "PoisonCall" not in full.stderr, number
        assert full.stderr.splitlines()[-1].startswith("To resume this run: "), (number, full.stderr)

    Path("space").touch()
    done = forked_scripts.run_to_end(full_app)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_deaths_count_from_the_last_end_in_order_on(forked_scripts: ForkedScripts, full_app: Path):
    assert forked_scripts.run_to_end(full_app).returncode == 1
    Path("kill").touch()
    for _ in range(2):
        assert forked_scripts.run_to_end(full_app).returncode == -signal.SIGKILL
    Path("kill").unlink()
    full = forked_scripts.run_to_end(full_app)
    assert "JournalError: the journal" in full.stderr, full.stderr
    Path("kill").touch()
    for _ in range(3):
        assert forked_scripts.run_to_end(full_app).returncode == -signal.SIGKILL
    refused = forked_scripts.run_to_end(full_app)
    assert "PoisonCall: The flow died 3 times" in refused.stderr, refused.stderr
