import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Composition, Loop, PhaseOrder, Taxonomy


def nests(dimensions):
    loop = st.booleans()
    return st.tuples(st.permutations(dimensions), loop, loop, loop).map(
        lambda drawn: tuple(Loop(dimension=d, spatial=s) for d, s in zip(drawn[0], drawn[1:], strict=True))
    )


@given(st.sampled_from(list(Composition)), nests("VFN"), nests("VGF"))
def test_parse_undoes_format(composition, aggregation, combination):
    taxonomy = Taxonomy(composition=composition, aggregation=aggregation, combination=combination)
    assert Taxonomy.parse(str(taxonomy)) == taxonomy


def test_example():
    taxonomy = Taxonomy.parse(" PP_AC(VtFsNt,VsGsFt) ")
    assert str(taxonomy) == "PP_AC(VtFsNt, VsGsFt)"
    assert taxonomy.composition is Composition.PP
    assert [loop.spatial for loop in taxonomy.aggregation] == [False, True, False]


@pytest.mark.parametrize("text", ["PP_CA(FsNtVs, GtFtNs)", "Seq_CA(VtGsNt, VsGsFt)"])
def test_combination_first_is_parsed(text):
    assert Taxonomy.parse(text).order is PhaseOrder.CA
    assert str(Taxonomy.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "PP_AC", "XX_AC(VtFsNt, VsGsFt)", "PP_AB(VtFsNt, VsGsFt)", "PP_AC(VtFsNx, VsGsFt)", "PP_AC(VtFs, VsGsFt)", 3],
)
def test_nonsense_is_refused(text):
    with pytest.raises(ConfigError, match="must look like 'PP_AC"):
        Taxonomy.parse(text)


def test_the_dimensions_belong_to_their_phase():
    wrong = [
        "".join(d + "t" for d in dims) for dims in itertools.product("VNFG", repeat=3) if sorted(dims) != list("FNV")
    ]
    for nest in wrong:
        with pytest.raises(ConfigError, match="aggregation loops of AC are F,N,V"):
            Taxonomy.parse(f"Seq_AC({nest}, VtGtFt)")
