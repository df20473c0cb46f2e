"""The page about the calibration: complete, honest about size and doubt, safe to open, never half written."""

from __future__ import annotations

import copy
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from deqi.calibrate import figures, report
from deqi.errors import InputError

SECTIONS = ("summary", "not", "left-out", "weeks", "pit", "by-trial", "pooled", "theories", "averages", "alike",
            "sensitivity", "forest", "sampler", "unused", "rebuild")
SCORES = {"covered_50": 0.47, "covered_80": 0.81, "covered_95": 0.96, "width_80": 23.7, "width_95": 37.4, "mae": 6.4,
          "bias": 1.3, "crps": 4.6, "log_density": -3.62}
ROW = {"trial": "haake2007", "title": "Haake 2007", "arm": "verum_arm", "kind": "acupuncture", "outcome": "CPGS_pain",
       "domain": "pain", "statistic": "mean", "versus": None, "week": 6.0, "n": 371, "baseline": 67.8, "value": 48.6,
       "predicted": [31.1, 36.2, 45.3, 54.4, 60.5], "left_out": [29.6, 34.7, 44.8, 55.9, 61.1]}
FOUND = {
    "stamp": {"hash_evidence": "e" * 64, "hash_equations": "q" * 64, "hash_laboratory": "l" * 64,
              "hash_calibration": "c" * 64},
    "made": {"version": "9.8.7", "seed": 17, "chains": 4, "draws": 251, "patients": 128, "trials": 43,
             "statistics": 377, "minutes": 37.5, "peak_memory_gib": 5.2, "method": "NUTS in good coordinates"},
    "diagnostics": {"r_hat_max": 1.013, "ess_min": 412.0, "jumps": 0.12, "steps": 0.38, "k": 0.78,
                    "r_hat": {"needle_relief": 1.004}, "ess_bulk": {"needle_relief": 733.0}},
    "averages": [{"name": "needle_relief", "unit": "1", "why": "relief after a session", "source": "assumed",
                  "prior": [0.312, 0.384, 0.437], "posterior": [0.335, 0.391, 0.428], "learned": 0.34},
                 {"name": "context.waiting", "unit": "1", "why": "disappointment", "source": "art_waitlist_course",
                  "prior": [-0.181, -0.05, 0.081], "posterior": [-0.112, -0.043, 0.027], "learned": 0.66}],
    "correlated": [{"a": "needle_relief", "b": "context.waiting", "r": -0.57}],
    "fit": [ROW,
            ROW | {"arm": "sham", "kind": "sham needling", "value": 91.5},
            ROW | {"statistic": "change", "arm": "single", "baseline": None, "value": -21.5,
                   "predicted": [-40.0, -33.0, -22.0, -11.0, -5.0], "left_out": [-43.0, -35.0, -24.0, -13.0, -6.0]},
            ROW | {"statistic": "difference", "versus": "sham", "value": -2.4,
                   "predicted": [-6.0, -4.0, -1.7, 0.6, 2.5], "left_out": [-6.5, -4.5, -1.9, 0.7, 2.8]},
            ROW | {"statistic": "responders", "value": 0.476, "predicted": [0.2, 0.31, 0.42, 0.53, 0.64],
                   "left_out": [0.2, 0.3, 0.41, 0.54, 0.66]},
            ROW | {"domain": "disability", "outcome": "HFAQ", "statistic": "change_sd", "value": 18.3,
                   "predicted": [12.0, 14.0, 17.0, 20.0, 23.0], "left_out": [11.0, 13.5, 17.5, 20.5, 24.0]}],
    "left_out": {"models": [{"model": "deqi", "statistics": 88} | SCORES,
                            {"model": "Hyperbola", "statistics": 88} | SCORES | {"mae": 7.7, "covered_80": 0.75},
                            {"model": "MetaRegression", "statistics": 88} | SCORES | {"mae": 9.2}],
                 "by_statistic": [{"domain": "pain", "statistic": "responders", "statistics": 24} | SCORES
                                  | {"mae": 0.139}],
                 "trials": [{"trial": "haake2007", "title": "Haake 2007", "k": 0.83, "statistics": 36,
                             "joint": -41.3, "mae": 5.5, "covered_80": 0.94},
                            {"trial": "other2001", "title": "Other 2001", "k": None, "statistics": 9,
                             "joint": -12.7, "mae": 3.9, "covered_80": 0.56}]},
    "pit": {"values": [0.05, 0.15, 0.55, 0.56, 0.95, 1.0], "p_location": 0.231, "p_spread": 0.417},
    "theories": {"weights": [{"theory": "gate", "weight": "needle_consolidation", "unit": "1/day",
                              "prior": [0.027, 0.098, 1.43], "posterior": [0.028, 0.083, 0.88], "learned": 0.19}],
                 "benefit": [{"theory": "gate", "route": "needle_consolidation", "week6": [-1.17, -0.14, -0.02],
                              "week26": [-0.42, -0.05, 0.0]},
                             {"theory": "all of it", "route": "", "week6": [-2.92, -1.42, -0.14],
                              "week26": [-1.61, -0.54, 0.51]}],
                 "left_out": [{"without": "gate", "difference": -0.92, "se": 0.21, "k": 0.31},
                              {"without": "muscle", "difference": 0.13, "se": 0.24, "k": 0.91}],
                 "plainly": ["The trials say next to nothing about needle_relief."]},
    "external": [{"id": "sham", "what": "needles against sham", "published": [-0.33, -0.23, -0.13],
                  "predicted": [-0.12, -0.04, 0.04], "overlap": False, "unit": "sd", "source": "atc_vickers2012",
                  "conflict": "published -0.23, predicted -0.04"},
                 {"id": "plateau", "what": "at the plateau", "published": [None, -3.5, None],
                  "predicted": [-3.8, -1.66, -0.21], "overlap": True, "unit": "points", "source": "somewhere",
                  "conflict": None}],
    "spread": [{"what": "SD true / sham", "published": 0.989, "predicted": [0.73, 1.01, 1.18], "inside": True,
                "source": "haake2007"}],
    "sensitivity": [{"assumption": "a good sham looks the same", "instead": "less sure", "effect": "it moves by 1.1",
                     "rows": [{"what": "beyond sham, week 6", "base": [-2.6, -1.63, -0.07],
                               "changed": [-4.21, -2.78, -1.15]}]}],
    "unused": [{"trial": "fox2018", "reason": "no difference is given"}],
    "simulation_based": {"calibration": {"simulations": 64, "p_smallest": 0.0231, "parameters": 49},
                         "recovery": {"covered_90": 0.89, "parameters": 49, "simulations": 63}},
}


class Page(HTMLParser):
    """A page read strictly: every tag closed in order; its ids, tags, attributes and words kept."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[int] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def infested(value, payload: str, key: str = ""):
    if isinstance(value, dict):
        return {name: infested(child, payload, name) for name, child in value.items()}
    if isinstance(value, list):
        return [infested(child, payload, key) for child in value]
    kept = key in {"domain", "statistic", "unit"} or key.startswith("hash_")
    return value + payload if isinstance(value, str) and not kept else value


def without_each_key():
    """The fixture without each of its keys, on the first three levels."""
    def cut(node, path):
        children = node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ()
        for key, child in children:
            if isinstance(node, dict):
                yield (*path, key)
            if len(path) < 3:
                yield from cut(child, (*path, key))

    for path in cut(FOUND, ()):
        found = copy.deepcopy(FOUND)
        place = found
        for key in path[:-1]:
            place = place[key]
        if path[-1] not in ("week", "name", "model", "what"):       # what a row cannot be without
            del place[path[-1]]
            yield path, found


def test_page_has_every_section_and_is_well_formed():
    html = report.page(FOUND)
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert html.count("<svg") == html.count('role="img"') + html.count('aria-hidden="true"')
    labelled = [value for _, name, value in page.attributes if name == "aria-labelledby"]
    assert labelled and all(set(value.split()) <= set(page.ids) for value in labelled)


def test_page_asks_for_nothing_outside_itself():
    html, page = report.page(FOUND), Page(report.page(FOUND))
    assert not set(page.tags) & {"script", "link", "img", "iframe", "object", "embed", "form", "use", "image"}
    links = [value for _, name, value in page.attributes if name in ("href", "src", "xlink:href", "action")]
    assert links and all(link.startswith("#") and link[1:] in page.ids for link in links)
    assert "@import" not in html and "url(" not in html
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("shown", [
    "377 published results", "43 studies",                                              # what was fitted
    "Of 88 published changes of pain, 81 % lie inside the 80 % interval and 96 % inside the 95 % interval",
    "off by 0.64 points", "off by 0.77 (75 % and 96 % inside)", "off by 0.92", "The model's error is smaller",
    "47 %", "0.13", "2.37", "3.74", "0.46", "-3.62",                                    # scores, NRS
    "13.9", "% of people", "Of 24 left-out results of every kind, 81 %",                # a share times 100
    "-41.3", "94 %", "0.83", "-12.7", "56 %", "3.9", "anew",                            # trial by trial
    "location p = 0.231", "spread p = 0.417",
    "-0.23 (-0.33 to -0.13)", "-0.04 (-0.12 to 0.04)", "-1.66 (-3.8 to -0.21)", "conflict", "overlap",
    "0.99", "1.01 (0.73 to 1.18)", "as said",
    "-0.14 (-1.17 to -0.02)", "-1.42 (-2.92 to -0.14)", "-0.54 (-1.61 to 0.51)",        # the theories
    "0.098 (0.027 to 1.43)", "0.083 (0.028 to 0.88)", "19 %", "-0.92", "better with it", "the trials do not say",
    "0.384 (0.312 to 0.437)", "0.391 (0.335 to 0.428)", "34 %", "1.004", "733",         # averages
    "-0.05 (-0.181 to 0.081)", "66 %", "-0.57",
    "-1.63 (-2.6 to -0.07)", "-2.78 (-4.21 to -1.15)", "It moves by 1.1",
    "48.6", "45.3 (36.2 to 54.4)", "44.8 (34.7 to 55.9)", "371", "verum arm", "-21.5", "verum arm against sham",
    "47.6", "42 (31 to 53)", "41 (30 to 54)", "18.3", "of the change",                  # every result
    "1.013", "412", "12 %", "38 %", "0.78", "NUTS in good coordinates", "4 chains of 251 draws",
    "64 times", "0.0231", "89 %", "63 simulations",
    "fox2018", "no difference is given", "37.5 minutes", "5.2 GiB", "9.8.7", "seed 17", "eeeeeeeeeeee"])
def test_every_number_stands_where_it_should(shown):
    assert shown in Page(report.page(FOUND)).text


def test_summary_says_that_the_benefit_is_small_and_what_is_not_shown():
    text = Page(report.page(FOUND)).text
    top = text[:text.index("How well trials left out are predicted")]
    for words in ("beyond sham, needles take about 3.5 of 100 points", "much of it is context", "That a theory is true",
                  "What one person will feel", "needles against sham (published -0.23"):
        assert words in top


@pytest.mark.parametrize(("covered", "words"), [(0.6, "too narrow"), (0.8, "about as wide"), (0.95, "wider than")])
def test_summary_judges_the_intervals(covered, words):
    found = copy.deepcopy(FOUND)
    found["left_out"]["models"][0]["covered_80"] = covered
    assert words in " ".join(report.in_words(found))


def test_summary_names_what_is_stated_too_surely():
    found = copy.deepcopy(FOUND)
    found["left_out"]["by_statistic"].append({"domain": "disability", "statistic": "change_sd", "statistics": 6}
                                             | SCORES | {"covered_80": 0.5})
    said = " ".join(report.in_words(found))
    assert "Of 30 left-out results of every kind, 75 %" in said
    assert "Stated too surely: disability change SD (50 % of 6)." in said


def test_overlap_of_ranges_is_not_taken_for_agreement():
    found = copy.deepcopy(FOUND)
    found["external"][1]["published"] = [-5.0, -4.2, -3.4]
    assert "1 overlap with what the model says, and 0 have their middle inside" in " ".join(report.in_words(found))
    assert "middle outside" in Page(report.page(found)).text


def test_a_model_that_loses_to_plain_rules_is_said_to_lose():
    found = copy.deepcopy(FOUND)
    found["left_out"]["models"][0]["mae"] = 12.0
    assert "The model's error is not smaller than theirs." in " ".join(report.in_words(found))


def test_nothing_found_is_a_page_too():
    for found in ({}, {key: [] if isinstance(value, list) else {} for key, value in FOUND.items()}):
        page = Page(report.page(found))
        assert set(SECTIONS) <= set(page.ids) and "run deqi calibrate" in page.text


@pytest.mark.parametrize(("path", "found"), list(without_each_key()), ids=lambda x: ".".join(map(str, x))
                         if isinstance(x, tuple) else "")
def test_a_missing_part_breaks_nothing(path, found):
    Page(report.page(found))


def test_what_others_wrote_is_shown_as_text():
    page = Page(report.page(infested(FOUND, "<script>x</script><b onclick='y'>&\"")))
    assert "script" not in page.tags and "b" not in page.tags and "<script>x</script>" in page.text


def test_an_unfinished_page_leaves_the_old_one(tmp_path):
    path = tmp_path / "out.html"
    report.write(FOUND, path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(TypeError):
        report.write(FOUND | {"fit": [ROW | {"value": "no number"}]}, path)
    assert path.read_text(encoding="utf-8") == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="no such folder"):
        report.write(FOUND, tmp_path / "nowhere" / "out.html")


def test_marks_say_where_a_published_value_lies():
    band = [0.0, 1.0, 2.0, 3.0, 4.0]
    places = [figures.standing(value, band) for value in (2.0, 3.5, 4.5, None)]
    assert places == ["inside80", "inside95", "outside", "unknown"]


def test_prior_and_posterior_share_a_scale():
    assert figures.standardised([0.5, 1.0, 2.0], [0.5, 1.0, 2.0]) == pytest.approx((-1.645, 0.0, 1.645))
    low, _, high = figures.standardised([-2.0, 0.0, 1.0], [-1.0, 0.0, 2.0])
    assert (low, high) == pytest.approx((-0.8225, 3.29))


def test_levels_become_changes_by_the_baseline():
    drawn = report.courses(FOUND["fit"])
    assert set(drawn) == {"acupuncture (2)", "sham needling (1)"}
    assert "1 outside" in drawn["sham needling (1)"] and "0 outside" in drawn["acupuncture (2)"]
