"""calcitrace.evaluate: figures computed by hand, intervals, errors that name the place, and the page."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcitrace.errors import RunError, SourceError, UsageError
from calcitrace.evaluate import Evaluation, LabelledMention, LabelledReport, evaluate, read_gold, score
from calcitrace.evaluate.cases import ppv
from calcitrace.evaluate.intervals import Figure, exact, in_words, wilson
from calcitrace.evaluate.mentions import match
from calcitrace.evaluate.page import report_html, table_rows, write_page
from calcitrace.model import Assertion, Assessment, Mention, Report
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, mention_row, parquet_bytes, report_row

ALL = frozenset(
    "mentions assertion change case_status likely_case migration_type tendon bone laterality size_mm "
    "absence_of_mass".split()
)
MARKER = "Zyxgrumble"


def mention(start, end, finding="mass", assertion="present", change="none"):
    """A labelled mention."""
    return LabelledMention(finding, start, end, assertion, change)


def report(name, given=ALL, **labels):
    """A labelled report; every label is given unless said otherwise."""
    return LabelledReport(name, given=frozenset(given), **labels)


def cases(*rows):
    """Gold and predicted reports from (gold status, predicted status, probability) rows."""
    gold = [report(f"R{k}", {"case_status"}, case_status=g) for k, (g, _, _) in enumerate(rows)]
    found = []
    for k, (_, status, probability) in enumerate(rows):
        named = {"case_status", "likely_case"} | ({"case_probability"} if probability is not None else set())
        likely = status in ("definite", "probable")
        found.append(report(f"R{k}", named, case_status=status, likely_case=likely, case_probability=probability))
    return gold, found


def value(found: Evaluation, name: str):
    """The value of one figure."""
    return found.figures[name].value


# --- matching and mention figures


def test_match_takes_best_overlap_first():
    """A prediction that overlaps two gold mentions goes to the one with which it shares more characters."""
    first, second, found = mention(0, 10), mention(12, 20), mention(8, 20)
    matched = match([first, second], [found])
    assert matched.pairs == ((second, found),)
    assert matched.missed == (first,)
    assert matched.spurious == ()


def test_match_is_one_to_one():
    """A second prediction on the same gold mention is spurious."""
    gold, better, worse = mention(0, 10), mention(0, 8), mention(8, 10)
    matched = match([gold], [worse, better])
    assert matched.pairs == ((gold, better),)
    assert matched.spurious == (worse,)


def test_match_needs_the_same_finding():
    """The same span under another finding is a miss and a false alarm."""
    matched = match([mention(0, 4, "mass")], [mention(0, 4, "cyst")])
    assert matched.pairs == ()


def test_match_needs_a_shared_character():
    """Spans that only touch share no character."""
    assert match([mention(0, 4)], [mention(4, 8)]).pairs == ()


spans = st.lists(
    st.builds(
        lambda start, size, name: mention(start, start + size, name),
        st.integers(0, 30),
        st.integers(1, 9),
        st.sampled_from(["mass", "pain"]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(spans, spans)
def test_match_loses_nothing(gold, predicted):
    """Every mention is matched once or listed as missed or spurious, and matched ones share a character."""
    matched = match(gold, predicted)
    assert len(matched.pairs) + len(matched.missed) == len(gold)
    assert len(matched.pairs) + len(matched.spurious) == len(predicted)
    assert all(g.finding == p.finding and g.start < p.end and p.start < g.end for g, p in matched.pairs)


def two_reports():
    """4 gold and 5 predicted mentions, 3 matched, 2 of these with the same assertion."""
    gold = [
        report("A", mentions=(mention(0, 5), mention(10, 15, assertion="absent"), mention(20, 25, "pain"))),
        report("B", mentions=(mention(0, 5),)),
    ]
    found = [
        report("A", mentions=(mention(2, 5), mention(10, 15), mention(21, 22, "pain"), mention(40, 44, "pain"))),
        report("B", mentions=(mention(7, 9),)),
    ]
    return gold, found


def test_mention_figures_by_hand():
    """Precision 3/5, recall 3/4, F1 2*3/(4+5), with assertion 2*2/(4+5)."""
    found = score(*two_reports(), resamples=0)
    assert value(found, "mention_precision") == pytest.approx(3 / 5)
    assert value(found, "mention_recall") == pytest.approx(3 / 4)
    assert value(found, "mention_f1") == pytest.approx(6 / 9)
    assert value(found, "mention_f1_assertion") == pytest.approx(4 / 9)


def test_findings_are_scored_apart():
    """mass: 3 gold, 3 found, 2 matched, 1 agreeing; pain: 1 gold, 2 found, 1 matched and agreeing."""
    found = score(*two_reports(), resamples=0).findings
    assert (found["mass"].gold, found["mass"].predicted) == (3, 3)
    assert found["mass"].f1.value == pytest.approx(4 / 6)
    assert found["mass"].f1_assertion.value == pytest.approx(2 / 6)
    assert found["pain"].f1.value == found["pain"].f1_assertion.value == pytest.approx(2 / 3)


def test_change_is_macro_averaged_over_stated_changes():
    """new 2*1/(2+2), unchanged 1, increased 0, decreased 0; pairs without any change are left out."""
    said = [("new", "new"), ("new", "none"), ("none", "new"), ("unchanged", "unchanged")]
    said += [("increased", "decreased"), ("none", "none")]
    gold = [report("A", mentions=tuple(mention(9 * k, 9 * k + 5, change=g) for k, (g, _) in enumerate(said)))]
    pred = [report("A", mentions=tuple(mention(9 * k, 9 * k + 5, change=p) for k, (_, p) in enumerate(said)))]
    figure = score(gold, pred, resamples=0).figures["change_macro_f1"]
    assert figure.value == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert figure.n == 5


def test_unlabelled_mentions_are_not_scored():
    """A gold standard without mentions gives no mention figure, whatever was found."""
    found = score([report("A", {"case_status"})], [report("A", mentions=(mention(0, 4),))], resamples=0)
    assert value(found, "mention_f1") is None
    assert found.findings == {}


def test_unlabelled_assertion_is_not_scored():
    """Mentions without assertions give F1, but no F1 with assertion."""
    gold = [report("A", {"mentions"}, mentions=(mention(0, 4, assertion=""),))]
    found = score(gold, [report("A", mentions=(mention(0, 4),))], resamples=0)
    assert (value(found, "mention_f1"), value(found, "mention_f1_assertion")) == (1.0, None)


# --- case figures

TEN = [("definite", "definite"), ("probable", "definite"), ("definite", "no"), ("no", "probable")]
TEN += [("no", "no")] * 4 + [("possible", "definite")] * 2


def detection(**options):
    """The ten reports above, scored without probabilities."""
    return score(*cases(*[(g, p, None) for g, p in TEN]), resamples=0, **options)


def test_detection_leaves_possible_out():
    """3 cases (2 flagged) and 5 others (1 flagged) count; the two flagged possible ones do not."""
    figures = detection().figures
    assert (figures["sensitivity"].right, figures["sensitivity"].n) == (2, 3)
    assert (figures["specificity"].right, figures["specificity"].n) == (4, 5)
    assert (figures["ppv"].right, figures["ppv"].n) == (2, 3)
    assert (figures["npv"].right, figures["npv"].n) == (4, 5)


def test_predictive_values_at_a_stated_prevalence():
    """Bayes' rule with sensitivity 2/3 and specificity 4/5 at 0.5 %."""
    found = detection(prevalence=0.005)
    assert value(found, "ppv_at_prevalence") == pytest.approx(0.0033333333 / (0.0033333333 + 0.199))
    assert value(found, "npv_at_prevalence") == pytest.approx(0.796 / (0.796 + 0.0016666667))


def test_predictive_value_has_an_interval_where_no_false_positive_was_seen():
    """10 of 10 found and none of 10 flagged wrongly: PPV 1, its lower limit at both lower Wilson limits (0.7225)."""
    rows = [("definite", "definite", None)] * 10 + [("no", "no", None)] * 10
    figure = score(*cases(*rows), prevalence=0.1, resamples=0).figures["ppv_at_prevalence"]
    assert figure.value == 1.0
    assert figure.wilson[0] == pytest.approx(0.07225 / (0.07225 + 0.2775 * 0.9), abs=1e-4)
    assert figure.wilson[1] == 1.0


def test_ppv_is_undefined_where_nothing_can_be_flagged():
    """Sensitivity 0 and specificity 1 flag nothing."""
    assert ppv(0.0, 1.0, 0.1) != ppv(0.0, 1.0, 0.1)


def test_quadratic_kappa_by_hand():
    """Observed cost 1, expected cost 64/4: kappa 1 - 1/16."""
    rows = [("no", "no", None), ("no", "no", None), ("definite", "definite", None), ("definite", "probable", None)]
    assert value(score(*cases(*rows), resamples=0), "tier_kappa") == pytest.approx(0.9375)


RANKED = [("definite", "definite", 0.9), ("probable", "no", 0.4), ("no", "no", 0.4), ("no", "no", 0.1)]


def test_ranking_by_hand():
    """One tie among four pairs: AUROC 3.5/4; average precision 1/2 + 2/3/2."""
    found = score(*cases(*RANKED), resamples=0)
    assert value(found, "auroc") == pytest.approx(0.875)
    assert value(found, "auprc") == pytest.approx(0.5 + 1 / 3)


def test_ranking_by_tier():
    """By tier one case stands above all, the other ties with both others: AUROC (2 + 1)/4."""
    assert value(score(*cases(*RANKED), resamples=0), "auroc_by_tier") == pytest.approx(0.75)


def test_calibration_by_hand():
    """Brier (0.01 + 0.04 + 0.09 + 0.01)/4; each report in its own bin: error (0.1 + 0.2 + 0.3 + 0.1)/4."""
    rows = [("definite", "no", 0.9), ("probable", "no", 0.8), ("no", "no", 0.3), ("no", "no", 0.1)]
    found = score(*cases(*rows), resamples=0)
    assert value(found, "brier") == pytest.approx(0.0375)
    assert value(found, "calibration_error") == pytest.approx(0.175)


def test_calibration_error_nets_out_inside_a_bin():
    """Two reports at 0.5, one of them a case, are perfectly calibrated."""
    found = score(*cases(("definite", "no", 0.5), ("no", "no", 0.5)), resamples=0)
    assert value(found, "calibration_error") == pytest.approx(0.0)
    assert found.curves.calibration[0]["observed"] == 0.5


def test_probability_figures_need_probabilities():
    """Without a model there is a ranking by tier, and no Brier score."""
    found = score(*cases(*[(g, p, None) for g, p, _ in RANKED]), resamples=0)
    assert (value(found, "auroc"), value(found, "brier")) == (None, None)
    assert found.curves.ranked_by == "case_status"


def test_one_class_gives_no_auroc():
    """A gold standard of everyday reports has no case: specificity is known, AUROC and sensitivity are not."""
    found = score(*cases(("no", "no", 0.1), ("no", "no", 0.2)), resamples=5)
    assert (value(found, "auroc"), value(found, "sensitivity"), value(found, "specificity")) == (None, None, 1.0)
    assert found.curves.workload == []


def test_workload_counts_reads_at_each_cut():
    """Highest first; equal ranks are read together; possible reports cost a read and are no case."""
    rows = [("definite", "no", 0.9), ("possible", "no", 0.8), ("no", "no", 0.5), ("probable", "no", 0.5)]
    curves = score(*cases(*rows, ("no", "no", 0.1)), resamples=0).curves
    assert curves.workload == [(1, 1), (2, 1), (4, 2), (5, 2)]
    assert curves.reads_for == {"50%": 1, "80%": 4, "90%": 4, "95%": 4, "100%": 4}


def test_confusion_table_counts_gold_by_predicted():
    """Rows are gold, columns predicted."""
    confusion = detection().curves.confusion
    assert confusion["definite"] == {"no": 1, "possible": 0, "probable": 0, "definite": 1}
    assert confusion["possible"] == {"no": 0, "possible": 0, "probable": 0, "definite": 2}


DEPOSIT = {"tendon": "achilles", "bone": "calcaneus", "laterality": "left", "size_mm": 8.0}


def deposits(**changed):
    """One report with a deposit whose prediction differs in `changed`, and one without a deposit."""
    gold = [report("A", **DEPOSIT), report("B")]
    found = score(gold, [report("A", **{**DEPOSIT, **changed}), report("B", tendon="patellar")], resamples=0)
    names = ("tendon", "bone", "laterality", "size_mm", "all")
    assert {found.figures[f"deposit_{n}"].n for n in names} == {1}
    return [found.figures[f"deposit_{n}"].right for n in names]


def test_main_deposit_counts_reports_that_have_one():
    """All four labels agree in the one report with a deposit; the other report is not counted."""
    assert deposits() == [1, 1, 1, 1, 1]


def test_main_deposit_needs_all_labels():
    """A wrong side spoils side and the whole, nothing else."""
    assert deposits(laterality="right") == [1, 1, 0, 1, 0]


@pytest.mark.parametrize(("size", "right"), [(8.5, 1), (8.6, 0), (None, 0)])
def test_size_agrees_within_half_a_millimetre(size, right):
    """8 mm agrees with 8.5 mm, not with 8.6 mm nor with no size."""
    assert deposits(size_mm=size)[3] == right


def test_migration_type_is_scored_among_gold_cases():
    """Two cases, one with the right type; the wrong type of a report that is no case does not count."""
    gold = [report(f"R{k}", case_status=s, migration_type=m) for k, (s, m) in enumerate(
        [("definite", "subcortical"), ("probable", "cortical_erosion"), ("no", "none")])]  # fmt: skip
    found = [replace(g, migration_type="subcortical") for g in gold]
    figure = score(gold, found, resamples=0).figures["migration_type"]
    assert (figure.right, figure.n) == (1, 2)


def test_absence_of_mass_is_scored_in_all_reports():
    """One of two reports agrees."""
    gold = [report("A", absence_of_mass=True), report("B", absence_of_mass=True)]
    figure = score(gold, [gold[0], replace(gold[1], absence_of_mass=False)], resamples=0).figures["absence_of_mass"]
    assert (figure.right, figure.n) == (1, 2)


# --- intervals


def test_wilson_interval():
    """8 of 10: (0.4902, 0.9433); 0 of 10: (0, 0.2775), from Wilson's formula."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_exact_interval():
    """10 of 10: the lower limit is the tenth root of 0.025; nothing seen says nothing."""
    assert exact(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert exact(0, 0) == (0.0, 1.0)


def labelled_by_patient(patients):
    """20 reports of which the first ten are right about the absence of a mass."""
    gold = [report(f"R{k}", patient_id=patients(k)) for k in range(20)]
    return gold, [replace(g, absence_of_mass=k >= 10) for k, g in enumerate(gold)]


def test_interval_respects_patients():
    """Two patients, one always right: the patient interval is (0, 1), Wilson's over reports far narrower."""
    figure = score(*labelled_by_patient(lambda k: str(k // 10)), resamples=200).figures["absence_of_mass"]
    assert figure.patients == (0.0, 1.0)
    assert figure.wilson == pytest.approx((0.2993, 0.7007), abs=1e-4)


def test_reports_without_a_patient_stand_alone():
    """Twenty reports without a patient id are twenty units, one patient with twenty reports is one."""
    apart = score(*labelled_by_patient(lambda _: ""), resamples=50)
    one = score(*labelled_by_patient(lambda _: "P"), resamples=50)
    assert (apart.settings["patients"], one.settings["patients"]) == (20, 1)
    assert one.figures["absence_of_mass"].patients == (0.5, 0.5)


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (Figure(None, 0), "not defined"),
        (Figure(0.9, 10, right=9, exact=(0.55, 0.998)), "0.900 (0.550 to 0.998)"),
        (Figure(1.0, 10, right=10, exact=(0.69, 1.0)), "1.000 (all of 10; 0.741 or more with 95 % confidence)"),
        (Figure(0.98, 70, patients=(0.9, 1.0)), "0.980 (0.900 to 1.000)"),
        (
            Figure(1.0, 70, patients=(1.0, 1.0)),
            "1.000 (no error seen in 10 cases and 60 others; an interval cannot be told from this)",
        ),
    ],
)
def test_a_figure_in_words_claims_no_more_than_it_can(figure, told):
    """Where all is right the interval is the exact one-sided bound, or none: 0.741 = 0.05 ** (1 / 10)."""
    assert in_words(figure, 10, 60) == told


def test_same_seed_same_intervals():
    """The intervals are reproducible, and depend on the seed."""
    arguments = labelled_by_patient(str)
    first, again, other = (score(*arguments, resamples=50, seed=s).as_json()["figures"] for s in (1, 1, 2))
    assert first == again
    assert first != other


# --- what cannot be scored


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 5.0])
def test_prevalence_must_be_a_share(prevalence):
    """A prevalence outside 0 to 1 is a usage error."""
    with pytest.raises(UsageError, match="is not between 0 and 1"):
        score(*two_reports(), prevalence=prevalence)


def test_score_refuses_other_reports():
    """Predictions of other reports, or of none, are not scored."""
    gold, found = two_reports()
    for pair in ((gold, found[::-1]), (gold, found[:1]), ([], [])):
        with pytest.raises(UsageError, match="same reports in the same order"):
            score(*pair)


GOOD = {"report_id": "A", "text": f"No mass. {MARKER}", "mentions": [
    {"start": 3, "end": 7, "label": "mass", "assertion": "absent", "change": "none"}]}  # fmt: skip


def gold_file(folder, *rows):
    """A gold standard file of these rows (or raw lines)."""
    path = folder / "gold.jsonl"
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def changed(**mention_fields):
    """A good row whose one mention has other fields."""
    return {**GOOD, "report_id": "B", "mentions": [{**GOOD["mentions"][0], **mention_fields}]}


BAD = [
    (f'{{"report_id": "B", "text": "{MARKER}', "2: not valid JSON (column 39); each line is one JSON object"),
    (f'["{MARKER}"]', "2: not a JSON object"),
    ({"text": MARKER}, "2: report_id is missing or not a string"),
    ({"report_id": 7}, "2: report_id is missing or not a string"),
    (GOOD, "2: report id 'A' was given before (line 1)"),
    ({"report_id": "B", "text": [MARKER]}, "2: text is not a string"),
    ({"report_id": "B", "case": MARKER}, "2: case_status is not one of definite, probable, possible, no"),
    ({"report_id": "B", "absence_of_mass": "yes"}, "2: absence_of_mass is not true or false"),
    ({"report_id": "B", "size_mm": "9 mm"}, "2: size_mm is not a positive number or null"),
    ({"report_id": "B", "size_mm": -1}, "2: size_mm is not a positive number or null"),
    ({"report_id": "B", "mentions": {}}, "2: mentions is not a list"),
    ({"report_id": "B", "mentions": [MARKER]}, "2: mention 1 is not a JSON object"),
    (changed(label=None), "2: mention 1: label is missing or not a string"),
    (changed(start="3"), "2: mention 1: start and end must be whole numbers with 0 <= start < end"),
    (changed(start=7), "2: mention 1: start and end must be whole numbers with 0 <= start < end"),
    (changed(end=99), "2: mention 1: end 99 lies behind the text, which has 19 characters"),
    (changed(text=MARKER), "2: mention 1: its text is not what the report has at 3:7"),
    (changed(assertion=MARKER),
     "2: mention 1: assertion is not one of present, possible, absent, historical, hypothetical"),
    (changed(change="gone"), "2: mention 1: change is not one of none, new, increased, decreased, unchanged, resolved"),
    ({**GOOD, "report_id": "B", "mentions": [{"start": 3, "end": 7, "label": "mass"}]},
     "2: mention 1 has no assertion, though others in the file have"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message"), BAD)
def test_bad_gold_line_is_named(tmp_path, row, message):
    """A line that cannot be used stops with path:line and what is wrong, never with report text."""
    path = gold_file(tmp_path, GOOD, row)
    with pytest.raises(SourceError) as error:
        read_gold(path)
    assert str(error.value) == f"{path}:{message}"
    assert MARKER not in str(error.value)


def test_a_table_in_place_of_gold_is_told(tmp_path):
    """With what a line must be, how a table becomes one, and which command takes labels."""
    path = gold_file(tmp_path, "report_id,case_status", "A,definite")
    with pytest.raises(SourceError, match=r":1: no JSON line, such as .*pandas: read_csv.*`calcitrace train`"):
        read_gold(path)
    table = pd.read_csv(path, dtype=str)
    table.to_json(path, orient="records", lines=True)
    assert [(r.report_id, r.case_status) for r in read_gold(path)] == [("A", "definite")]


def test_empty_gold_is_an_error(tmp_path):
    """A gold standard without a report is refused."""
    path = gold_file(tmp_path, "")
    with pytest.raises(SourceError, match="holds no report"):
        read_gold(path)


def test_missing_and_undecodable_gold(tmp_path):
    """A file that is not there or is not UTF-8 is refused by name."""
    with pytest.raises(SourceError, match=r"nothing\.jsonl: cannot be read"):
        read_gold(tmp_path / "nothing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"report_id": "\xe9"}\n')
    with pytest.raises(SourceError, match=r"latin\.jsonl: not UTF-8"):
        read_gold(tmp_path / "latin.jsonl")


def test_gold_fields_that_are_missing_are_not_given(tmp_path):
    """All fields but report_id are optional; size null is a statement, a missing size is not."""
    path = gold_file(tmp_path, {"report_id": "A"}, {"report_id": "B", "size_mm": None}, {**GOOD, "report_id": "C"})
    assert [r.given - {"report_id"} for r in read_gold(path)] == [
        frozenset(),
        {"size_mm"},
        {"text", "mentions", "assertion", "change"},
    ]


def test_gold_takes_the_programs_own_names(tmp_path):
    """finding and case_status mean what label and case mean."""
    row = {"report_id": "A", "case_status": "probable", "mentions": [{"start": 0, "end": 2, "finding": "mass"}]}
    (read,) = read_gold(gold_file(tmp_path, row))
    assert (read.case_status, read.mentions[0].finding) == ("probable", "mass")


# --- runs, files and the page

TEXTS = {"A": f"No mass. {MARKER} <script>alert(1)</script> erosion & more", "B": "Pain. Cortical erosion."}
RUN_MENTIONS = [
    ("A", "mass", 3, 7, "absent"),
    ("A", "pain", 9, 12, "present"),
    ("B", "cortical_erosion", 6, 22, "present"),
]


def make_run(folder, texts=TEXTS, mentions=RUN_MENTIONS):
    """A finished run folder written by hand."""
    made = [
        Mention(f"{r}#{k}", finding, start, end, texts[r][start:end], "findings", "rule", Assertion(presence=presence))
        for k, (r, finding, start, end, presence) in enumerate(mentions)
    ]
    rows = [mention_row(m.mention_id.split("#")[0], m) for m in made]
    reports = [report_row(Report(r, t, f"P{r}"), Assessment(r), 1, "hash") for r, t in texts.items()]
    manifest = {
        "status": "complete",
        "parts": [{"number": 0}],
        "ruleset_hash": "0123456789abcdef",
        "case": "a_case",
        "fingerprint": {},
    }
    for table, data in (
        ("reports", parquet_bytes(reports, REPORT_COLUMNS)),
        ("mentions", parquet_bytes(rows, MENTION_COLUMNS)),
    ):
        (folder / table).mkdir(parents=True)
        (folder / table / "part-00000.parquet").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def gold_rows():
    """Gold for A (case definite; one mention found, one missed, one spurious) and B (the assertion differs)."""
    missed = TEXTS["A"].index("erosion")
    return [
        {"report_id": "A", "patient_id": "P1", "text": TEXTS["A"], "case": "definite", "mentions": [
            {"start": 3, "end": 7, "label": "mass", "assertion": "absent"},
            {"start": missed, "end": missed + 7, "label": "cortical_erosion", "assertion": "present"}]},
        {"report_id": "B", "text": TEXTS["B"], "mentions": [
            {"start": 6, "end": 22, "label": "cortical_erosion", "assertion": "possible"}]},
    ]  # fmt: skip


@pytest.fixture
def evaluated(tmp_path):
    """The evaluation of the run above, in the folder `out`."""
    run = make_run(tmp_path / "run")
    return evaluate(run, gold_file(tmp_path, *gold_rows()), tmp_path / "out", resamples=20)


def test_run_is_scored_against_gold(evaluated):
    """3 gold and 3 found mentions, 2 matched, 1 agreeing."""
    assert value(evaluated, "mention_f1") == pytest.approx(4 / 6)
    assert value(evaluated, "mention_f1_assertion") == pytest.approx(2 / 6)
    assert evaluated.settings["ruleset_hash"] == "0123456789abcdef"


def test_errors_are_listed_with_their_place(evaluated):
    """A case, a missed and a spurious mention, and a wrong assertion, each with report, place and both values."""
    missed = TEXTS["A"].index("erosion")
    found = [(d.report_id, d.kind, d.finding, d.start, d.end, d.gold, d.predicted) for d in evaluated.discrepancies]
    assert found == [
        ("A", "case_status", "", -1, -1, "definite", "no"),
        ("A", "spurious", "pain", 9, 12, "", "present"),
        ("A", "missed", "cortical_erosion", missed, missed + 7, "present", ""),
        ("B", "assertion", "cortical_erosion", 6, 22, "possible", "present"),
    ]


def test_json_holds_figures_and_no_text(tmp_path, evaluated):
    """evaluation.json says the same as the object, and no report text."""
    raw = (tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8")
    assert json.loads(raw)["figures"]["mention_f1"]["value"] == value(evaluated, "mention_f1")
    assert MARKER not in raw


def test_page_links_each_error_to_its_text(tmp_path, evaluated):
    """Every link of the page has its target, one link an error, and the erroneous words are marked."""
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    links, targets = re.findall(r'href="#(\w+)"', page), re.findall(r'id="(\w+)"', page)
    assert len(links) == len(evaluated.discrepancies) == 4
    assert set(links) <= set(targets)
    assert re.search(r'<mark class="gold wrong" title="[^"]*">erosion</mark>', page)


def test_one_report_with_its_errors_stands_alone(evaluated):
    """A piece of HTML with the report's own text escaped and its errors marked; one without an error has none."""
    report_id = next(d.report_id for d in evaluated.discrepancies if d.start >= 0)
    piece = report_html(evaluated, report_id)
    assert piece.count("<article") == 1
    assert re.search(r'<mark class="[a-z ]*wrong" title="[^"]*">', piece)
    assert "<script" not in piece
    with pytest.raises(UsageError, match="'Z' has no listed error"):
        report_html(evaluated, "Z")


def test_page_escapes_report_text_and_is_self_contained(tmp_path, evaluated):
    """Markup in a report shows as text, and the page loads nothing."""
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<link|https?://|src=|@import|url\(", page)


def test_page_escapes_ids(tmp_path):
    """A report id, a finding and a rule may hold markup; none of it gets into the page."""
    evil = '"><img src=x onerror=alert(1)>'
    found = LabelledReport(evil, mentions=(LabelledMention(evil, 0, 4, "present", "none", evil),), given=ALL)
    page = write_page(score([LabelledReport(evil, text=evil, given=ALL)], [found], resamples=0))
    assert "<img" not in page


def test_unseen_errors_leave_no_text(tmp_path):
    """Without the list of errors neither page nor JSON shows a report, and the figures are the same."""
    run = make_run(tmp_path / "run")
    found = evaluate(run, gold_file(tmp_path, *gold_rows()), resamples=0, list_errors=False)
    assert value(found, "mention_f1") == pytest.approx(4 / 6)
    page = (run / "evaluation" / "evaluation.html").read_text(encoding="utf-8")
    assert MARKER not in page
    assert "errors were not listed" in page
    assert json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))["errors"] == []


def test_page_shows_plots_where_there_are_probabilities():
    """Calibration, ROC and precision-recall need probabilities; the workload curve does not."""
    with_them = write_page(score(*cases(*RANKED), resamples=0))
    without = write_page(score(*cases(*[(g, p, None) for g, p, _ in RANKED]), resamples=0))
    captions = [re.findall(r"<figcaption>(.*?)</figcaption>", page) for page in (with_them, without)]
    assert captions == [["Calibration", "ROC", "Precision and recall", "Reading workload"], ["Reading workload"]]


def test_table_leaves_out_what_was_not_scored():
    """Only figures with a value become rows."""
    titles = [row[0] for row in table_rows(score(*cases(("no", "no", None)), resamples=0))]
    assert titles[:2] == ["specificity of likely case", "specificity, exact interval"]
    assert "mention F1" not in titles


def test_gold_report_that_the_run_lacks(tmp_path):
    """A gold report that was not processed is an error that names it."""
    run = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"1 of 2 gold reports are not in this run \(first 'Z'\); proc"):
        evaluate(run, gold_file(tmp_path, {"report_id": "A"}, {"report_id": "Z"}))


def test_run_of_another_text(tmp_path):
    """Offsets of another text mean nothing; the report is named, its text is not shown."""
    run = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match="report 'A': the run read another text") as error:
        evaluate(run, gold_file(tmp_path, {"report_id": "A", "text": f"Another {MARKER}"}))
    assert MARKER not in str(error.value)


def test_reports_outside_the_gold_standard_are_ignored(tmp_path):
    """A run over an archive can be scored against the few reports that are labelled."""
    run = make_run(tmp_path / "run")
    assert evaluate(run, gold_file(tmp_path, gold_rows()[1]), resamples=0).settings["reports"] == 1


def test_no_run_folder(tmp_path):
    """A folder that is no run is refused."""
    with pytest.raises(RunError, match="no run folder"):
        evaluate(tmp_path, gold_file(tmp_path, GOOD))


def test_processed_reports_agree_with_themselves(tmp_path):
    """Gold made of a run's own output scores 1 everywhere: reading, offsets and matching lose nothing."""
    from calcitrace import read_run
    from calcitrace.corpus import process

    text = "MRI LEFT SHOULDER\n\nFINDINGS: 7 mm calcific deposit in the supraspinatus. No soft tissue mass.\n"
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"report_id": "A", "text": text}) + "\n", encoding="utf-8")
    process(source, tmp_path / "run")
    reports, mentions = read_run(tmp_path / "run")
    assert len(mentions) >= 2
    own = mentions[["start", "end", "finding", "assertion", "change", "text"]].to_dict("records")
    labels = reports.iloc[0][["tendon", "bone", "laterality", "migration_type"]].to_dict()
    row = {"report_id": "A", "text": text, "mentions": own, "case": reports.iloc[0]["case_status"], **labels}
    found = evaluate(tmp_path / "run", gold_file(tmp_path, row), resamples=0)
    assert (value(found, "mention_f1"), value(found, "mention_f1_assertion")) == (1.0, 1.0)
    assert found.discrepancies == ()


def command(*arguments):
    """One call of the command line."""
    return subprocess.run([sys.executable, "-m", "calcitrace", *map(str, arguments)], capture_output=True, text=True)


def test_command_prints_figures(tmp_path):
    """`calcitrace evaluate` prints the table and where the page is, and no report text."""
    run = make_run(tmp_path / "run")
    done = command("evaluate", run, gold_file(tmp_path, *gold_rows()), "--resamples", 20)
    assert done.returncode == 0
    assert re.search(r"^mention F1 +0\.667 ", done.stdout, re.MULTILINE)
    assert "evaluation.html" in done.stdout
    assert MARKER not in done.stdout + done.stderr


def test_command_tells_of_probabilities_that_were_moved(tmp_path):
    """At another prevalence than the gold standard's, Brier score and calibration error say nothing of the model."""
    run = make_run(tmp_path / "run")
    words = ("evaluate", run, gold_file(tmp_path, *gold_rows()), "--resamples", 20)
    manifest = json.loads((run / "manifest.json").read_text()) | {"model": {"name": "starter"}}
    for prevalence, told in ((None, False), (0.005, True)):
        options = {"model": "", "prevalence": prevalence}
        (run / "manifest.json").write_text(json.dumps(manifest | {"options": options}))
        assert ("note: the run's probabilities are those at --prevalence" in command(*words).stderr) == told


def test_command_tells_of_a_model_of_ones_own(tmp_path):
    """Its figures are flattering on the reports that it learned from, which a run cannot tell."""
    run = make_run(tmp_path / "run")
    words = ("evaluate", run, gold_file(tmp_path, *gold_rows()), "--resamples", 20)
    manifest = json.loads((run / "manifest.json").read_text()) | {"model": {"name": "our"}}
    for file, told in (("", False), ("our.json", True)):
        (run / "manifest.json").write_text(json.dumps(manifest | {"options": {"model": file}}))
        assert ("note: the model our is one of your own; figures are honest only on" in command(*words).stderr) == told


def test_no_interval_is_told_where_all_draws_are_alike(tmp_path):
    """An AUROC of 1 is 1 in every draw of patients, which does not make it sure; the command says why there is none."""
    rows = [("definite", "definite", 0.9)] * 4 + [("no", "no", 0.1)] * 4
    assert ("AUROC (probability)", "1.000", "-", "none", "8 reports") in table_rows(score(*cases(*rows), resamples=20))
    run = make_run(tmp_path / "run")
    done = command("evaluate", run, gold_file(tmp_path, gold_rows()[0]), "--resamples", 20)
    assert done.stdout.splitlines()[-2].startswith("none: the same figure in every draw, as where no error was seen")


def test_command_names_a_bad_line(tmp_path):
    """A bad gold line ends with one line on stderr and the exit code of unreadable input."""
    run, gold = make_run(tmp_path / "run"), gold_file(tmp_path, GOOD, f'{{"{MARKER}')
    done = command("evaluate", run, gold)
    assert done.returncode == 4
    assert done.stderr.startswith(f"error: {gold}:2: not valid JSON")
    assert MARKER not in done.stdout + done.stderr
