"""Where networks run: a device by name."""

import torch

from gnnsched_env.common.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is a GPU when there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"training: device {name!r} is not usable: {str(error).splitlines()[0]}") from None
    return device
