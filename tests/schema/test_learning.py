"""The study file's `learning`: stated rates, replaced in part, and refused in one sentence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.small_study import claim, write_study

from workbench import Study
from workbench.errors import StudyError


def learning(folder, text):
    path = write_study(folder, [claim()])
    path.write_text(f"{path.read_text()}{text}\n")
    return Study.load(path).spec.learning


def test_a_team_replaces_a_part_and_the_rest_is_stated(tmp_path):
    found = learning(tmp_path, "learning: {user test: {yes_if_false: 0.2, cost: 2d}}")
    assert [*found] == ["interview", "prototype", "user test"]
    test = found["user test"]
    assert (test.yes_if_true, test.yes_if_false, test.cost) == (0.8, 0.2, timedelta(days=2))
    assert (found["interview"].yes_if_true, found["interview"].yes_if_false) == (0.7, 0.5)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{interveiw: {cost: 1d}}", "unknown method of learning 'interveiw'; did you mean 'interview'"),
        ("{interview: {yes_if_true: 0.4}}", "yes_if_true is 0.4; it must lie above yes_if_false"),
        ("{interview: {yes_if_true: 1}}", "must lie between 0 and 1"),
        ("{interview: {yes: 1}}", "unknown key 'yes'"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, written, said):
    with pytest.raises(StudyError) as error:
        learning(tmp_path, f"learning: {written}")
    assert said in str(error.value)
