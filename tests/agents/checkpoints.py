"""What every method that keeps its own checkpoints refuses."""

import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError


def require_others_refused(path, own, others, again):
    """Check that trainings of other settings refuse a training's checkpoint, and that a damaged one is refused.

    `own`, whose checkpoint it is; `others`, those of other settings; `again`, one of the same settings.
    """
    own.save(path)
    for other in others:
        with pytest.raises(ConfigError, match="of another training"):
            other.load(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(FileFormatError, match="must be a checkpoint, but is damaged"):
        again.load(path)
