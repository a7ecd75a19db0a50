"""Claims of a spec: what may be claimed, what holds, and where a false one stands."""

import pytest
from support.specs import spec_of

from archspec.cost.checks import CLAIM_NAMES, Check
from archspec.cost.report import report
from archspec.errors import SpecError

SPEC = """\
name: net
input: [8, 8, 3]
variants: {{small: {{}}}}
layers:
  - {{name: stem, conv: {{filters: 4, kernel: 3}}}}
{claims}
"""
PARAMS, MACS = 3 * 3 * 3 * 4 + 4, 3 * 3 * 3 * 4 * 6 * 6  # 112 and 3,888


def checks_of(claims: str) -> tuple[Check, ...]:
    return report(spec_of(SPEC.format(claims=claims))).checks


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("params: 112", True),
        ("params: 113", False),
        ("params: '112'", True),
        ("params: '= 112'", True),
        ("params: '== 112'", True),
        ("params: '< 112'", False),
        ("params: '<= 112'", True),
        ("params: '> 112'", False),
        ("params: '>= 112'", True),
        ("params: '<113'", True),
        ("params: ' >  111 '", True),
        ("macs: '3,888'", True),
        ("macs: 3_888", True),  # a word in YAML 1.2
        ("macs: 3.888e3", True),
        ("macs: '3.888K'", True),
        ("macs: '3.888k'", True),
        ("macs: '< 3.8K'", False),
        ("macs: '< 0.004M'", True),
        ("macs: '< 1G'", True),
        ("macs: '< 1B'", True),  # a billion; for bytes it is the unit
        ("macs: '> 1T'", False),
        ("flops: 7776", True),
        ("trainable: 112", True),
        ("non_trainable: 0", True),
        ("weight_layers: 1", True),
        ("layers: 1", True),
        ("activations: 336", True),
        ("weight_bytes: 448", True),
        ("weight_bytes: 448B", True),
        ("weight_bytes: '< 0.5KB'", True),
        ("weight_bytes: '<= 0.4375KiB'", True),
        ("weight_bytes: '< 0.43KiB'", False),
        ("weight_bytes: '< 1MB'", True),
        ("weight_bytes: '< 1 MiB'", True),
        ("weight_bytes: '> 1GB'", False),
        ("weight_bytes: '> 1GiB'", False),
        ("inference_bytes: 1792", True),
        ("training_bytes: 2560", True),
    ],
)
def test_an_expectation(claim, holds):
    (check,) = checks_of(f"expect: {{{claim}}}")
    figure = claim.partition(":")[0]
    assert (check.section, check.figure.partition(".")[0], check.holds) == ("expect", figure, holds)


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("params: 112", True),
        ("params: 111", False),
        ("params: '<= 112'", True),
        ("params: '< 112'", False),
        ("macs: 4K", True),
        ("macs: 3K", False),
        ("training_bytes: 2.56KB", True),
        ("training_bytes: 2.5KB", False),
    ],
)
def test_a_budget_is_the_most_a_figure_may_be(claim, holds):
    (check,) = checks_of(f"budget: {{{claim}}}")
    assert (check.section, check.holds) == ("budget", holds)
    assert check.claim.startswith("<")


def test_a_decimal_is_exact():
    # In floating point 4.35 * 100 is a little less than 435.
    (check,) = checks_of("expect: {macs: '> 4.35K'}")
    assert check.claim == "> 4,350"


@pytest.mark.parametrize("figure", CLAIM_NAMES)
def test_every_figure_may_be_claimed(figure):
    (check,) = checks_of(f"expect: {{{figure}: '>= 0'}}")
    assert check.holds


@pytest.mark.parametrize(
    ("bound", "holds"), [("2560", True), ("2.5KB", False), ("{must_keep: 2560}", True)]
)
def test_a_budget_of_training_is_about_what_it_must_keep_and_says_so(bound, holds):
    (check,) = checks_of(f"budget: {{training_bytes: {bound}}}")
    assert (check.figure, check.found) == ("training_bytes.must_keep", "2,560")
    assert check.holds is holds


NUMBER = 'a number, or a comparison as "< 5M"; units: K, M, G'
BYTES = 'a number, or a comparison as "< 5M"; units: KB, MB, GB, KiB, MiB, GiB'


@pytest.mark.parametrize(
    ("claims", "place", "message", "help_"),
    [
        ("expect: {parms: 5}", (6, 10), "there is no figure `parms`", "did you mean `params`?"),
        (
            "budget: {training_bytes: {must_kep: 1KB}}",
            (6, 27),
            "there is no figure `must_kep`",
            "did you mean `must_keep`?",
        ),
        ("budget: {training_bytes: {must_keep: 5M}}", (6, 38), "`5M` is not a valid bound", BYTES),
        (
            "budget: {training_bytes: {}}",
            (6, 26),
            "`{}` is not a valid bound",
            f"{BYTES}; or bounds by figure, as {{must_keep: 6 GB}}",
        ),
        ("expect: {params: few}", (6, 18), "`few` is not a valid bound", NUMBER),
        ("budget: {params: 5MB}", (6, 18), "`5MB` is not a valid bound", NUMBER),
        ("expect: {weight_bytes: '< 5M'}", (6, 24), "`< 5M` is not a valid bound", BYTES),
        ("expect: {params: '!= 5'}", (6, 18), "`!= 5` is not a valid bound", NUMBER),
        ("expect: {params: true}", (6, 18), "`true` is not a valid bound", NUMBER),
        (
            "budget: {params: '>= 5'}",
            (6, 18),
            "`>= 5` is not a valid budget, which is the most a figure may be",
            "use `expect`",
        ),
        (
            f"expect: {{params: '{'9' * 42}'}}",
            (6, 18),
            f"`{'9' * 42}` is not a valid bound",
            NUMBER,
        ),
        ("expect: {params: [1, 2]}", (6, 18), "`[1, 2]` is not a valid bound", NUMBER),
        (
            "published: {small: {stages: {sten: [6, 6, 4]}, source: here}}",
            (6, 30),
            "there is no step `sten`",
            "did you mean `stem`?",
        ),
        *(
            (
                f"published: {{small: {{stages: {{stem: {shape}}}, source: here}}}}",
                (6, 36),
                f"`{shape}` is not a valid shape",
                "whole numbers, channels last, such as [56, 56, 256]",
            )
            for shape in ("[null, true]", '{"b": 1}', "[]", "[6, 6, 4.0]", "true")
        ),
    ],
)
def test_a_claim_that_says_nothing(claims, place, message, help_):
    with pytest.raises(SpecError) as caught:
        checks_of(claims)
    (problem,) = caught.value.diagnostics
    assert (problem.span.line, problem.span.column) == place
    assert (problem.message, problem.help) == (message, help_)


def test_all_claims_that_say_nothing_are_reported_together():
    with pytest.raises(SpecError) as caught:
        checks_of("expect: {parms: 5, params: few}\nbudget: {macs: 1.5}")
    assert [problem.span.line for problem in caught.value.diagnostics] == [6, 6, 7]


def test_what_is_published_is_compared_figure_by_figure():
    checks = checks_of(
        "published: {small: {params: 112, macs: 3889, stages: {stem: [6, 6, 4], stem/convolution: "
        "[6, 6, 5]}, source: table 9}}"
    )
    assert [(check.figure, check.claim, check.found, check.holds) for check in checks] == [
        ("params", "112", "112", True),
        ("macs", "3,889", "3,888", False),
        ("stage stem", "6x6x4", "6x6x4", True),
        ("stage stem/convolution", "6x6x5", "6x6x4", False),
    ]
    assert {check.source for check in checks} == {"table 9"}


def test_the_extent_of_a_vector_may_stand_alone():
    claims = "published: {small: {stages: {fc: 7}, source: here}}"
    text = SPEC.format(claims=claims).replace(
        "layers:", "layers:\n  - flatten\n  - {name: fc, fc: 7}\n  - {reshape: [1, 1, 7]}"
    )
    text = text.replace("kernel: 3", "kernel: 1")
    (check,) = report(spec_of(text)).checks
    assert (check.claim, check.found, check.holds) == ("7", "7", True)


def test_a_false_claim_becomes_a_problem_at_its_place():
    spec = spec_of(SPEC.format(claims="published: {small: {macs: 3889, source: table 9}}"))
    (check,) = report(spec).checks
    problem = check.diagnostic(spec)
    assert (problem.code, problem.span.line, problem.span.column) == ("published", 6, 27)
    assert problem.message == "macs of small is 3,888, not 3,889"
    assert problem.help == "claimed by table 9"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("expect: {params: '< 100'}", "params of small is 112, not < 100"),
        ("expect: {params: 100}", "params of small is 112, not 100"),
        ("budget: {params: 100}", "params of small is 112, not <= 100"),
    ],
)
def test_a_broken_bound_reads_well(section, message):
    spec = spec_of(SPEC.format(claims=section))
    (check,) = report(spec).checks
    assert check.diagnostic(spec).code == check.section
    assert check.diagnostic(spec).message == message


def test_the_literature_says_nothing_of_a_network_that_was_changed():
    claims = "published: {small: {params: 112, source: table 9}}\nexpect: {params: 112}"
    changed = spec_of(SPEC.format(claims=claims), "small", input=[9, 9, 3])
    assert [check.section for check in report(changed).checks] == ["expect"]


def test_a_published_figure_may_be_written_with_an_exponent():
    (check,) = checks_of("published: {small: {macs: 3.888e3, source: table 1}}")
    assert check.holds
