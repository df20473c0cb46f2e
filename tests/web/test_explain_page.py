"""The Explain tab: a plain form and htmx give the same pictures, and a theory that is off says so."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from deqi.web.catalogue import texts
from deqi.web.explain_figures import signal
from deqi.web.store.database import Database

from .conftest import World, enter

CHOICES = {"mode": "electro", "hz": "2", "minutes": "30", "site": "both", "body": "human_clbp"}


def test_the_page_draws_every_signal_and_calls_it_a_hypothesis(client: TestClient, database: Database, world: World
                                                               ) -> None:
    enter(client, database, world.people["dan"])
    page = client.get("/explain").text
    assert page.count("<figure") >= 15 and page.count(">hypothesis<") == 5 and "3.5 of 100 points" in page
    assert len(set(re.findall(r'id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))


def test_a_theory_that_is_not_ticked_is_off_with_and_without_script(client: TestClient, database: Database,
                                                                    world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    sent = {**CHOICES, "csrf": csrf, "theories": ["gate", "inflammation", "circulation", "muscle"]}
    whole = client.post("/explain", data=sent).text
    swapped = client.post("/explain", data=sent, headers={"hx-request": "true"}).text
    assert whole.count("switched off") == swapped.count("switched off") == 1
    assert "<html" in whole and "<html" not in swapped and swapped.strip().startswith('<div id="pictures"')
    assert 'value="neurotransmitters" autocomplete="off">' in whole


def test_what_cannot_be_chosen_is_refused(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    for wrong in ({"hz": "fast"}, {"theories": ["magic"]}):
        assert client.post("/explain", data={**CHOICES, "csrf": csrf, **wrong}).status_code == 422


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [-1.0, 2.0, 0.5], [1e-5, 2e-5, 1e-5]])
def test_a_signal_is_told_in_words_too(values: list[float]) -> None:
    row = {"name": "Signal", "unit": "share", "as_chosen": values, "as_usual": [0.0, 0.0, 0.0]}
    drawn = signal([0.0, 60.0, 1440.0], row, 30.0, texts()["explain"]["figure"], "one")
    assert "<title" in drawn and "style=" not in drawn and "nan" not in drawn
    if max(values) > 0:
        assert f"to {max(values):.3g}".replace("1e-05", "0.00001").replace("2e-05", "0.00002") in drawn
