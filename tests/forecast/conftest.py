import pytest


@pytest.fixture(scope="session")
def tpugraphs(shared):
    """Return the folder of real TpuGraphs files, which holds npz/; skip without it."""
    folder = shared / "tpugraphs"
    if not (folder / "npz").is_dir():
        pytest.skip(f"real files not found at {folder}")
    return folder


@pytest.fixture(scope="session")
def alexnet(tpugraphs):
    """Return the real layout file."""
    return tpugraphs / "npz/layout/xla/default/train/alexnet_train_batch_32.npz"
