"""The code in docs/how-to/use_rl_libraries.md runs, as far as its libraries are installed."""

import re
from pathlib import Path

import pytest

DOC = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use_rl_libraries.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
OPTIONAL = ("sb3_contrib", "torch", "torchrl", "tianshou", "ray")
ADAPTERS = OPTIONAL[2:]


def marked(number):
    """Return the number of a block, marked if it needs the extra `adapters`."""
    needs = any(name in BLOCKS[number] for name in ADAPTERS)
    return pytest.param(number, marks=pytest.mark.adapters) if needs else number


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", [marked(number) for number in range(1, len(BLOCKS))])
def test_a_block_runs(number, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # one saves its model
    code = BLOCKS[0] + BLOCKS[1] if number == 1 else BLOCKS[number]  # the second goes on from the first
    code = code.replace("learn(300_000)", "learn(1_000)").replace("jobs=1000", "jobs=50")
    for name in OPTIONAL:
        if re.search(rf"^(import|from) {name}\b", code, re.MULTILINE):
            pytest.importorskip(name, reason=f"{name} is not installed")
    if "import ray" in code:
        pytest.skip("Ray takes long to start; test_libraries.py runs the same")
    exec(compile(code, f"docs/how-to/use_rl_libraries.md, block {number}", "exec"), {})


def test_every_library_has_a_block():
    assert all(any(name in block for block in BLOCKS) for name in OPTIONAL)
