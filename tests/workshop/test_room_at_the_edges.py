"""What pages say of logs at the edges: words for each, and nothing that only a programmer reads."""

from __future__ import annotations

import edge_logs
import pytest
import walking

import engagekit as ek
from engagekit.workshop import room, start


@pytest.mark.thorough
@pytest.mark.parametrize("name", edge_logs.LOGS)
def test_each_page_has_words_for_a_log_at_the_edges(name, tmp_path):
    log, journeys = edge_logs.made(name)
    (team,) = start(
        tmp_path / "ws", events=log.events, users=log.users, definition=log.definition, as_of=log.as_of
    )  # fmt: skip
    session, priority, best = ek.Session(team), ek.prioritize(journeys), ek.strongest(journeys)
    said = [
        room.answer(session, journeys, priority), room.own_log(session), room.how_to_read(priority),
        room.broken_if(journeys.definition), room.left_out(journeys), room.problem(ek.diagnose(journeys), priority),
        room.first_play(priority), room.plan_first(priority), room.worth_testing(best),
        room.faults(ek.check_events(log.events, log.definition)), room.watched(ek.watch_list(journeys)),
        room.trial_size(session, priority), room.due(session, journeys), room.verdict_now(session, priority),
    ]  # fmt: skip
    assert all(str(each).strip() for each in said)
    assert not walking.foreign(map(str, said))
    drawn = [room.steps(journeys, ek.step_drop_off(journeys)), room.coming_and_going(session, journeys)]  # fmt: skip
    drawn.append(room.tested(journeys, priority.link))
    assert None not in drawn
